import { create, RangeRequestSchema, toBinary } from "@etcd-edge/proto";
import { type HttpHandler, sendText } from "@etcd-edge/runtime";

/** How one upstream call ended. */
interface CallOutcome {
  readonly code: number;
  readonly message: string;
}

/** Makes one unary call to any endpoint; never throws. */
export type AskUpstream = (path: string, payload: Uint8Array, timeoutMs: number) => Promise<CallOutcome>;

const timeoutMs = 1_000;

/**
 * Refusals that only an etcd with a leader and auth gives: it serves, though not this nameless question. etcd's own
 * proxy knows only the first of them, so that its /health is 503 for good once auth is on.
 */
const refusals: ReadonlySet<string> = new Set([
  "etcdserver: permission denied",
  "etcdserver: user name is empty",
  "etcdserver: invalid auth token",
]);

/**
 * `/health`: 200 while etcd answers a linearizable read of the key `a` in the namespace within a second, else 503. Bodies as etcd 3.5
 * and newer write them, the newline after a failure included.
 */
export function createHealthHandler(ask: AskUpstream, namespace: string): HttpHandler {
  const request = create(RangeRequestSchema, { key: Buffer.from(`${namespace}a`) });
  const probe = toBinary(RangeRequestSchema, request);
  return async (asked, response) => {
    if (asked.method !== "GET") {
      response.setHeader("allow", "GET");
      sendText(response, 405, "Method Not Allowed\n");
      return;
    }
    const { code, message } = await ask("/etcdserverpb.KV/Range", probe, timeoutMs);
    if (code === 0 || refusals.has(message)) {
      response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
      response.end(JSON.stringify({ health: "true", reason: "" }));
    } else {
      sendText(response, 503, `${JSON.stringify({ health: "false", reason: `GET ERROR:${message}` })}\n`);
    }
  };
}
