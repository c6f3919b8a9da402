import { maxPresenceBytes, type RollCall, readPosted, sealHeader } from "@etcd-edge/fabric";
import { type HttpHandler, sendText } from "@etcd-edge/runtime";

export interface PresenceApiOptions {
  readonly rollCall: RollCall;
  /** Of `--fabric-key-file`: what is not sealed with it is refused. */
  readonly key: Uint8Array | undefined;
  readonly onRejected: () => void;
}

/** `POST /v1/presence`: a replica of a tier without NATS tells of itself, every few seconds. */
export function createPresenceHandler({ rollCall, key, onRejected }: PresenceApiOptions): HttpHandler {
  return async (request, response) => {
    if (request.method !== "POST") {
      response.setHeader("allow", "POST");
      sendText(response, 405, "method not allowed\n");
      return;
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxPresenceBytes) {
        response.setHeader("connection", "close");
        sendText(response, 413, `a presence must not be longer than ${maxPresenceBytes} bytes\n`);
        return;
      }
      chunks.push(chunk);
    }
    const seal = request.headers[sealHeader];
    const presence = readPosted(Buffer.concat(chunks), typeof seal === "string" ? seal : undefined, key);
    if (presence === undefined) {
      onRejected();
      const why = key === undefined ? "not a presence" : "not a presence sealed with --fabric-key-file";
      sendText(response, key === undefined ? 400 : 403, `${why}\n`);
      return;
    }
    rollCall.heard(presence);
    response.writeHead(204).end();
  };
}
