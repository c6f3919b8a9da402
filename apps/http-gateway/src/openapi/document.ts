import { type Rpc, rpcs } from "@etcd-edge/proto";
import { version } from "@etcd-edge/runtime";
import { findGetForm } from "../door/get-forms.ts";
import { problemType } from "../http/problem.ts";
import { planOf } from "../json/message-plan.ts";
import { type Schema, SchemaCollection } from "./schemas.ts";

/** An OpenAPI 3.0 document, ready for JSON. */
export type OpenApiDocument = Readonly<Record<string, unknown>>;

const utf8 = { $ref: "#/components/parameters/utf8" };
const heartbeat = { $ref: "#/components/parameters/heartbeat" };

/** Describes every route of the JSON door, from the schema: what the schema gets, this has. */
export function createOpenApiDocument(): OpenApiDocument {
  const schemas = new SchemaCollection();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const rpc of rpcs) {
    for (const [index, { path, since }] of rpc.http.entries()) {
      // The second path of an RPC is an older one.
      const id = `${rpc.service}.${rpc.method}${index === 0 ? "" : `.${index}`}`;
      const about = {
        tags: [rpc.service],
        summary: `${rpc.method} (etcd ${since} and later)`,
      };
      paths[path] = { post: { ...about, operationId: id, ...postOperation(rpc, schemas) } };
      const get = getOperation(rpc, schemas);
      if (get !== undefined) paths[path]["get"] = { ...about, operationId: `${id}.get`, ...get };
    }
  }
  return {
    openapi: "3.0.3",
    info: {
      title: "etcd over HTTP and JSON",
      version,
      description:
        "Every call is a POST with a JSON object, as in etcd's own gateway; reads may be asked by GET. Keys and values are base64, " +
        "or text with `utf8`. Answers of streams are lines, each an object with `result`; the last one may have `error` instead.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    tags: [...new Set(rpcs.filter(({ http }) => http.length > 0).map(({ service }) => service))].map(
      (name) => ({ name }),
    ),
    security: [{}, { token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: "apiKey",
          in: "header",
          name: "Authorization",
          description: "A token of /v3/auth/authenticate, with or without `Bearer `.",
        },
      },
      parameters: {
        utf8: {
          name: "utf8",
          in: "query",
          schema: { type: "boolean", default: false },
          description: 'Keys and values are text; bytes that are none are `{"base64":"…"}`.',
        },
        heartbeat: {
          name: "heartbeat",
          in: "query",
          schema: { type: "string", example: "15s" },
          description: "How often the stream tells how far it is, from 100ms to 60m.",
        },
      },
      responses: { error: errorResponse },
      schemas: { ...schemas.toJSON(), Error: errorSchema, Problem: problemSchema },
    },
  };
}

function postOperation(rpc: Rpc, schemas: SchemaCollection): Schema {
  const isWatch = rpc.path === "/etcdserverpb.Watch/Watch";
  return {
    parameters: isWatch ? [utf8, heartbeat] : [utf8],
    requestBody: {
      ...(rpc.kind === "bidi"
        ? { description: "One or more objects, one behind the other, in their own time." }
        : {}),
      content: { "application/json": { schema: schemas.ref(rpc.input) } },
    },
    responses: responsesOf(rpc, schemas),
  };
}

function getOperation(rpc: Rpc, schemas: SchemaCollection): Schema | undefined {
  if (rpc.path === "/etcdserverpb.Watch/Watch") return watchByGet(rpc, schemas);
  const needed = findGetForm(rpc);
  if (needed === undefined) return undefined;
  const fields = planOf(rpc.input).fields.map(({ name, desc }) => ({
    name,
    in: "query",
    ...(needed.length === 1 && needed[0] === name ? { required: true } : {}),
    // As it is: what stands in a URL is text.
    schema: desc.scalar === undefined ? schemas.field(desc) : withoutFormat(schemas.field(desc)),
  }));
  const prefix = {
    name: "prefix",
    in: "query",
    schema: { type: "string" },
    description: "All keys that begin so.",
  };
  return {
    parameters: [...fields, ...(needed.includes("prefix") ? [prefix] : []), utf8],
    responses: responsesOf(rpc, schemas),
  };
}

function withoutFormat({ format, ...schema }: Schema): Schema {
  return format === "byte" ? { type: "string", description: "Text; other bytes percent-encoded." } : schema;
}

function watchByGet(rpc: Rpc, schemas: SchemaCollection): Schema {
  const list = (name: string, description: string): Schema => ({
    name,
    in: "query",
    schema: { type: "array", items: { type: "string" } },
    description,
  });
  return {
    description:
      "Lines of JSON, or Server-Sent Events for `Accept: text/event-stream`. Needs a key or a prefix.",
    parameters: [
      list("key", "A key, as often as wanted."),
      list("prefix", "All keys that begin so, as often as wanted."),
      { name: "start_revision", in: "query", schema: { type: "string", format: "int64" } },
      {
        name: "last_event_id",
        in: "query",
        schema: { type: "string" },
        description: "Go on behind this event.",
      },
      { name: "prev_kv", in: "query", schema: { type: "boolean" } },
      list("filters", "NOPUT or NODELETE"),
      utf8,
      heartbeat,
    ],
    responses: {
      ...responsesOf(rpc, schemas),
      "200": {
        description: "Events as they happen.",
        content: {
          "application/json": { schema: frameOf(rpc, schemas) },
          "text/event-stream": { schema: { type: "string" } },
        },
      },
    },
  };
}

function responsesOf(rpc: Rpc, schemas: SchemaCollection): Schema {
  const schema = rpc.kind === "unary" ? schemas.ref(rpc.output) : frameOf(rpc, schemas);
  return {
    "200": {
      description: rpc.kind === "unary" ? "The answer." : "Lines, each such an object.",
      content: { "application/json": { schema } },
    },
    default: { $ref: "#/components/responses/error" },
  };
}

function frameOf(rpc: Rpc, schemas: SchemaCollection): Schema {
  const error = { $ref: "#/components/schemas/Error" };
  return { type: "object", properties: { result: schemas.ref(rpc.output), error } };
}

const errorSchema: Schema = {
  type: "object",
  description: "Which of them there are, and in which order, is as the etcd behind has it.",
  properties: {
    error: { type: "string", description: "The message, of etcd 3.4 and 3.5." },
    code: { type: "integer", description: "The status of gRPC." },
    message: { type: "string" },
  },
  example: { error: "etcdserver: invalid auth token", code: 16, message: "etcdserver: invalid auth token" },
};

const problemSchema: Schema = {
  type: "object",
  description: "RFC 9457",
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "integer", description: "The status of gRPC." },
    errors: {
      type: "array",
      items: {
        type: "object",
        properties: {
          pointer: { type: "string", description: "Where in the body, as a JSON Pointer." },
          parameter: { type: "string", description: "Which parameter of the query." },
          detail: { type: "string" },
        },
      },
    },
  },
};

const errorResponse: Schema = {
  description: "What went wrong: problem details for clients that accept them.",
  content: {
    "application/json": { schema: { $ref: "#/components/schemas/Error" } },
    [problemType]: { schema: { $ref: "#/components/schemas/Problem" } },
  },
};
