import { create, RangeRequestSchema, toBinary } from "@etcd-edge/proto";
import { type HttpHandler, sendText } from "@etcd-edge/runtime";

/** How one call ended. */
interface CallOutcome {
  readonly code: number;
  readonly message: string;
}

/** Makes one unary call; never throws. */
export type AskUpstream = (path: string, payload: Uint8Array, timeoutMs: number) => Promise<CallOutcome>;

/** Asked by `/health` and `/proxy/health`: why not, or nothing where all is well. */
export type HealthCheck = () => Promise<string | undefined>;

/** What became of the checks since the start. */
export interface HealthCounts {
  successes: number;
  failures: number;
}

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

/** Holds while a linearizable read of the key `a` behind the prefix is answered within a second. */
export function createReadCheck(ask: AskUpstream, prefix: string): HealthCheck {
  const request = create(RangeRequestSchema, { key: Buffer.from(`${prefix}a`) });
  const probe = toBinary(RangeRequestSchema, request);
  return async () => {
    const { code, message } = await ask("/etcdserverpb.KV/Range", probe, timeoutMs);
    return code === 0 || refusals.has(message) ? undefined : `GET ERROR:${message}`;
  };
}

/**
 * 200 while the check holds, else 503. Bodies as etcd 3.5 and newer write them, the newline after a failure included.
 */
export function createHealthHandler(check: HealthCheck, counts: HealthCounts): HttpHandler {
  return async (asked, response) => {
    if (asked.method !== "GET") {
      response.setHeader("allow", "GET");
      sendText(response, 405, "Method Not Allowed\n");
      return;
    }
    const reason = await check();
    if (reason === undefined) {
      counts.successes++;
      response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
      response.end(JSON.stringify({ health: "true", reason: "" }));
    } else {
      counts.failures++;
      sendText(response, 503, `${JSON.stringify({ health: "false", reason })}\n`);
    }
  };
}
