import { type DescMessage, findRpc, fromBinary, toJson } from "@etcd-edge/proto";
import { formatHostPort, type Logger } from "@etcd-edge/runtime";
import type { ClientsCall, ClientsSink } from "./client-state.ts";

type OnCall = (call: ClientsCall) => ClientsSink;

/** Never logged, though etcd's proxy does. */
const secrets: ReadonlySet<string> = new Set(["password", "hashedPassword", "token"]);
const framePrefixBytes = 5;

/**
 * `--experimental-enable-grpc-logging`: a line for each message of each call, as clients sent and get it, with the
 * message as JSON in the fields of etcd's proxy. What the schema does not know is logged by its size.
 */
export function logPayloads(onCall: OnCall, logger: Logger): OnCall {
  return (call) => {
    const rpc = findRpc(call.path);
    const [, service = "", method = ""] = call.path.split("/");
    const line = logger.child({
      "grpc.service": service,
      "grpc.method": method,
      "peer.address": formatHostPort({ host: call.client.peer.address, port: call.client.peer.port }),
    });
    tapAnswers(call, (payload) =>
      line.info("server response payload logged as grpc.response.content field", {
        "grpc.response.content": describe(rpc?.output, payload),
      }),
    );
    const sink = onCall(call);
    return {
      onMessage: (payload, of) => {
        line.info("server request payload logged as grpc.request.content field", {
          "grpc.request.content": describe(rpc?.input, payload),
        });
        sink.onMessage(payload, of);
      },
      onHalfClose: (of) => sink.onHalfClose(of),
      onCancel: (reason, of) => sink.onCancel(reason, of),
      onDrain: (of) => sink.onDrain?.(of),
    };
  };
}

/** Shows every message that is sent on this call. Its methods are shadowed, because calls are made by the transport. */
function tapAnswers(call: ClientsCall, show: (payload: Uint8Array) => void): void {
  const sendMessageParts = call.sendMessageParts.bind(call);
  const sendFramed = call.sendFramed.bind(call);
  // sendMessage and respond go through this one.
  call.sendMessageParts = (head, body) => {
    show(Buffer.concat([head, body]));
    return sendMessageParts(head, body);
  };
  call.sendFramed = (framed) => {
    for (const message of messagesOf(framed)) show(message);
    return sendFramed(framed);
  };
}

function* messagesOf(framed: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(framed.buffer, framed.byteOffset, framed.byteLength);
  for (let at = 0; at + framePrefixBytes <= framed.length; ) {
    const start = at + framePrefixBytes;
    at = start + view.getUint32(at + 1);
    yield framed.subarray(start, at);
  }
}

function describe(desc: DescMessage | undefined, payload: Uint8Array): unknown {
  if (desc === undefined) return { bytes: payload.length };
  try {
    const json = toJson(desc, fromBinary(desc, payload));
    if (typeof json !== "object" || json === null || Array.isArray(json)) return json;
    return Object.fromEntries(
      Object.entries(json).map(([name, value]) => [name, secrets.has(name) ? "<not logged>" : value]),
    );
  } catch {
    // Not what the schema says: etcd will refuse it, and a log line need not.
    return { bytes: payload.length };
  }
}
