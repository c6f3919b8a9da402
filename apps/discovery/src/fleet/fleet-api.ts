import type { ServerResponse } from "node:http";
import { type HttpHandler, sendText } from "@etcd-edge/runtime";
import type { Fleet } from "./fleet.ts";

/** An event this often at most, and at least, so that uptimes and counts move. */
const intervalMs = 1_000;

/** `GET /v1/fleet`: the whole fleet as JSON, or with `Accept: text/event-stream` as events, one a second. */
export function createFleetHandler(describe: () => Fleet): HttpHandler {
  return (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      sendText(response, 405, "method not allowed\n");
      return;
    }
    if (request.headers.accept?.includes("text/event-stream") === true) {
      stream(describe, response);
      return;
    }
    const headers = { "content-type": "application/json", "cache-control": "no-cache" };
    response.writeHead(200, headers).end(`${JSON.stringify(describe())}\n`);
  };
}

function stream(describe: () => Fleet, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const send = (): void => {
    // Each event is the whole fleet: a reader too slow for one gets the next.
    if (!response.writableNeedDrain) response.write(`event: fleet\ndata: ${JSON.stringify(describe())}\n\n`);
  };
  const timer = setInterval(send, intervalMs);
  response.once("close", () => clearInterval(timer));
  send();
}
