import type { IncomingMessage, ServerResponse } from "node:http";
import type { Metrics } from "./metrics.ts";
import type { Readiness } from "./readiness.ts";

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Handlers by exact path. */
export type HttpRoutes = ReadonlyMap<string, HttpHandler>;

/**
 * What every tier serves to operators: `/metrics` (Prometheus text), `/livez` (200 while the process turns its event
 * loop) and `/readyz` (200 while every readiness check holds, else 503; one line a check, as Kubernetes prints them).
 */
export function createAdminRoutes(options: {
  metrics: Metrics;
  readiness: Readiness;
}): Map<string, HttpHandler> {
  const { metrics, readiness } = options;
  return new Map<string, HttpHandler>([
    [
      "/metrics",
      async (_request, response) => {
        const { contentType, body } = await metrics.render();
        response.writeHead(200, { "content-type": contentType }).end(body);
      },
    ],
    ["/livez", (_request, response) => sendText(response, 200, "ok\n")],
    [
      "/readyz",
      (_request, response) => {
        const { ready, rows } = readiness.report();
        const lines = rows.map((row) =>
          row.problem === undefined ? `[+]${row.name} ok` : `[-]${row.name} failed: ${row.problem}`,
        );
        sendText(response, ready ? 200 : 503, `${lines.join("\n")}\n${ready ? "ok" : "not ready"}\n`);
      },
    ],
  ]);
}

/** A short text answer that no browser sniffs into something else. */
export function sendText(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" })
    .end(text);
}

/**
 * Answers from routes by path; what has no route gets Go's 404. A handler that throws answers 500 and is reported.
 */
export function createRequestListener(
  routes: HttpRoutes,
  onError: (error: unknown) => void,
): (request: IncomingMessage, response: ServerResponse) => void {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const handler = routes.get(path);
    if (handler === undefined) sendText(response, 404, "404 page not found\n");
    else await handler(request, response);
  };
  return (request, response) => {
    serve(request, response).catch((error: unknown) => {
      onError(error);
      if (response.headersSent) response.destroy();
      else sendText(response, 500, "Internal server error\n");
    });
  };
}
