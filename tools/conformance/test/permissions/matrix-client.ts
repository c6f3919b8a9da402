import {
  findRpc,
  fromBinary,
  fromJson,
  type JsonObject,
  type Rpc,
  toBinary,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { MatrixRequest } from "./requests.ts";

/** How a request went, without what differs from one run to the next: `ok`, what was read, or `7 etcdserver: permission denied`. */
export type Outcome = string;

/** Asks the cells of the matrix through one door. Dispose of it. */
export interface MatrixClient extends Disposable {
  ask(request: MatrixRequest, token: string | undefined): Promise<Outcome>;
}

const deadlineMs = 20_000;

function rpcOf({ path }: MatrixRequest): Rpc {
  const rpc = findRpc(path);
  if (rpc === undefined) throw new Error(`the schema has no ${path}`);
  return rpc;
}

function toBytes(request: MatrixRequest): Uint8Array {
  const { input } = rpcOf(request);
  return toBinary(input, fromJson(input, request.message as JsonObject));
}

/** PEM of who is trusted, and of what is shown. */
export interface MatrixTls {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** By grpc-js, in plaintext where no certificate is to be shown. */
export function createGrpcMatrixClient(address: string, tls?: MatrixTls): MatrixClient {
  const secret = tls && credentials.createSsl(tls.ca, tls.key, tls.cert);
  const client = new Client(address, secret ?? credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
    ...(tls && { "grpc.ssl_target_name_override": "localhost" }), // grpc-js sends no address as a name
  });
  const options = () => ({ deadline: Date.now() + deadlineMs });
  const raw = (bytes: Buffer): Buffer => bytes;
  const unary = (request: MatrixRequest, metadata: Metadata): Promise<Outcome> =>
    new Promise((resolve) => {
      const bytes = Buffer.from(toBytes(request));
      client.makeUnaryRequest(request.path, raw, raw, bytes, metadata, options(), (error, answer) => {
        if (error !== null) resolve(describeError(error));
        else resolve(describeAnswer(request, fromBinary(rpcOf(request).output, answer ?? new Uint8Array(0))));
      });
    });
  const watch = (request: MatrixRequest, metadata: Metadata): Promise<Outcome> =>
    new Promise((resolve) => {
      const call = client.makeBidiStreamRequest(request.path, raw, raw, metadata, options());
      call.on("data", (bytes: Buffer) => {
        const { canceled, cancelReason } = fromBinary(WatchResponseSchema, bytes);
        resolve(canceled ? `canceled ${cancelReason}` : "created");
        call.cancel();
      });
      call.on("error", (error: ServiceError) => resolve(describeError(error)));
      call.write(Buffer.from(toBytes(request)));
    });
  return {
    ask: (request, token) => {
      const metadata = new Metadata();
      if (token !== undefined) metadata.set("token", token);
      return rpcOf(request).kind === "bidi" ? watch(request, metadata) : unary(request, metadata);
    },
    [Symbol.dispose]: () => client.close(),
  };
}

function describeError({ code, details }: ServiceError): Outcome {
  return `${code} ${details}`;
}

/** Of answers only what a user was shown of the store. */
function describeAnswer({ path }: MatrixRequest, answer: object): Outcome {
  if (path !== "/etcdserverpb.KV/Range") return "ok";
  const { kvs, count } = answer as { kvs: readonly { key: Uint8Array; value: Uint8Array }[]; count: bigint };
  const shown = kvs.map(({ key, value }) => `${Buffer.from(key).toString("latin1")}=${Buffer.from(value)}`);
  return `ok ${count} ${shown.join(" ")}`;
}

/** By JSON over HTTP: what an http-gateway serves of them. */
export function createJsonMatrixClient(url: string): MatrixClient {
  return {
    ask: async (request, token) => {
      const [route] = rpcOf(request).http;
      if (route === undefined) throw new Error(`${request.path} has no JSON`);
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), deadlineMs);
      try {
        const response = await fetch(`${url}${route.path}`, {
          method: "POST",
          headers: token === undefined ? {} : { authorization: token },
          body: JSON.stringify(request.message),
          signal: stop.signal,
        });
        const isStream = rpcOf(request).kind === "bidi";
        const body = isStream ? await firstLine(response) : await response.text();
        return describeJson(request, JSON.parse(body) as JsonObject);
      } finally {
        clearTimeout(timer);
        stop.abort();
      }
    },
    [Symbol.dispose]: () => {},
  };
}

async function firstLine({ body }: Response): Promise<string> {
  let read = "";
  for await (const chunk of body ?? []) {
    read += Buffer.from(chunk).toString();
    if (read.includes("\n")) break;
  }
  return read.split("\n", 1)[0] ?? "";
}

function describeJson(request: MatrixRequest, body: JsonObject): Outcome {
  const error =
    (body["error"] as JsonObject | undefined)?.["grpc_code"] === undefined
      ? body
      : (body["error"] as JsonObject);
  const code = error["code"] ?? error["grpc_code"];
  if (typeof code === "number" && code !== 0) return `${code} ${String(error["message"])}`;
  if (rpcOf(request).kind === "bidi") {
    const result = (body["result"] ?? {}) as JsonObject;
    return result["canceled"] === true ? `canceled ${String(result["cancel_reason"] ?? "")}` : "created";
  }
  const { output } = rpcOf(request);
  return describeAnswer(request, fromJson(output, body, { ignoreUnknownFields: true }));
}
