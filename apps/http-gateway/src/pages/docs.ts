import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";

/** Where the page is. */
export const docsPath = "/docs";
/** Where the document is. */
export const openApiPath = "/openapi.json";

/** Only this gateway is asked, for the page and by it: it works where there is no other network. */
const contentSecurityPolicy = {
  "default-src": ["'self'"],
  "connect-src": ["'self'"],
  "img-src": ["'self'", "data:"],
  // Swagger UI sets styles of elements.
  "style-src": ["'self'", "'unsafe-inline'"],
  "base-uri": ["'self'"],
  "form-action": ["'self'"],
  "frame-ancestors": ["'none'"],
  "object-src": ["'none'"],
};

/** Answers requests for the page and the document. */
export type Docs = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * The OpenAPI document and a page to try it. Few look at it, and nobody often: what it takes is loaded when somebody does.
 */
export async function createDocs(): Promise<Docs> {
  const [{ fastify }, { default: swagger }, { default: swaggerUi }, { createOpenApiDocument }] =
    await Promise.all([
      import("fastify"),
      import("@fastify/swagger"),
      import("@fastify/swagger-ui"),
      import("../openapi/document.ts"),
    ]);
  const app: FastifyInstance = fastify({ exposeHeadRoutes: false });
  const document = createOpenApiDocument();
  await app.register(swagger, { mode: "static", specification: { document: document as never } });
  await app.register(swaggerUi, {
    routePrefix: docsPath,
    staticCSP: contentSecurityPolicy,
    // Without the bar at the top, which would ask any other server for a document.
    uiConfig: { layout: "BaseLayout", docExpansion: "none", deepLinking: false, tryItOutEnabled: true },
    theme: { title: "etcd over HTTP and JSON" },
  });
  app.get(openApiPath, async () => document);
  await app.ready();
  return (request, response) => app.routing(request, response);
}
