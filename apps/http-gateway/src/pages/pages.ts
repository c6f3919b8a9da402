import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpHandler } from "@etcd-edge/runtime";
import { fastify } from "fastify";
import type { JsonProfile } from "../profile/json-profile.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { createDocs, type Docs, docsPath, openApiPath } from "./docs.ts";
import { checkHealth, healthBody } from "./health.ts";

export interface PagesOptions {
  readonly upstream: Upstream;
  readonly profile: () => JsonProfile | Promise<JsonProfile>;
  /** The body of `/version`, or nothing where etcd does not tell. */
  readonly version: () => Promise<string | undefined>;
  /** `/metrics`, `/livez`, `/readyz` of this process. */
  readonly admin: ReadonlyMap<string, HttpHandler>;
  readonly report: (error: unknown) => void;
  /** Whether the OpenAPI document and its page are served. */
  readonly hasDocs: boolean;
}

/** Answers everything outside `/v3/`. */
export type Pages = (request: IncomingMessage, response: ServerResponse) => void;

const plainText = "text/plain; charset=utf-8";

/**
 * The pages beside the JSON door: `/version` and `/health` as etcd has them, and this process's own `/metrics`,
 * `/livez`, `/readyz`. These are few and rare; calls to etcd never come through here.
 */
export async function createPages(options: PagesOptions): Promise<Pages> {
  const app = fastify({ exposeHeadRoutes: false });
  // No page takes a body: whatever is sent is left unread, whatever it says it is.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.get("/version", async (_request, reply) => {
    const body = await options.version();
    if (body === undefined)
      return await reply.code(503).type(plainText).send("no endpoint of etcd answers\n");
    // As bytes: to a text Fastify would add a charset, which etcd does not.
    return await reply.header("Content-Type", "application/json").send(Buffer.from(body));
  });
  app.get<{ Querystring: { exclude?: string | string[]; serializable?: string } }>(
    "/health",
    async (request, reply) => {
      const { exclude = [], serializable } = request.query;
      const reason = await checkHealth(options.upstream, {
        exclude: new Set([exclude].flat()),
        serializable: serializable === "true",
      });
      const body = healthBody(await options.profile(), reason);
      if (reason !== undefined) reply.code(503).header("X-Content-Type-Options", "nosniff");
      return await reply.type(plainText).send(body);
    },
  );
  for (const [path, handler] of options.admin) {
    app.get(path, async (request, reply) => {
      reply.hijack();
      await handler(request.raw, reply.raw);
    });
  }
  const known = new Set(["/version", "/health", ...options.admin.keys()]);
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split("?", 1)[0] ?? "";
    reply.type(plainText).header("X-Content-Type-Options", "nosniff");
    if (known.has(path)) return await reply.code(405).header("Allow", "GET").send("Method Not Allowed\n");
    return await reply.code(404).send("404 page not found\n");
  });
  app.setErrorHandler(async (error, _request, reply) => {
    options.report(error);
    return await reply.code(500).type(plainText).send("Internal server error\n");
  });
  await app.ready();
  let docs: Promise<Docs> | undefined;
  return (request, response) => {
    if (!options.hasDocs || !isForDocs(request)) return app.routing(request, response);
    docs ??= createDocs();
    docs.then(
      (answer) => answer(request, response),
      (error: unknown) => {
        options.report(error);
        response.destroy();
      },
    );
  };
}

function isForDocs({ method, url = "" }: IncomingMessage): boolean {
  const path = url.split("?", 1)[0] ?? "";
  return method === "GET" && (path === openApiPath || path === docsPath || path.startsWith(`${docsPath}/`));
}
