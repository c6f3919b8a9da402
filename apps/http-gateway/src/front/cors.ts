import { ConfigError } from "@etcd-edge/runtime";

/** The headers that an answer to this Origin carries: name, value, name, value. */
export type CorsPolicy = (origin: string | undefined) => readonly string[];

const none: readonly string[] = [];

/**
 * Makes the policy of `--cors`. With `*` every answer carries the headers; otherwise those to a listed origin do. A
 * refused origin is still answered, only its browser is not told that it may read.
 *
 * Unlike etcd an origin may be listed without its default port, which is how browsers write it; `Vary: Origin` is
 * set where the answer depends on it.
 *
 * @throws ConfigError for something that is no origin, or `*` beside others
 */
export function createCorsPolicy(origins: readonly string[]): CorsPolicy {
  if (origins.includes("*")) {
    if (origins.length > 1) throw new ConfigError(`invalid "--cors": "*" cannot be mixed with origins`);
    const headers = corsHeaders("*");
    return () => headers;
  }
  const allowed = new Set(origins.map((origin) => parseOrigin(origin)));
  if (allowed.size === 0) return () => none;
  const denied = ["Vary", "Origin"];
  return (origin) => {
    if (origin === undefined || !allowed.has(normaliseOrigin(origin) ?? "")) return denied;
    return [...corsHeaders(origin), ...denied];
  };
}

const allowedName = "Access-Control-Allow-Headers";
/** Headers of ours that a page may send beside those that etcd allows. */
const ownHeaders = /^(?:x-etcd-utf8|grpc-timeout|grpc-metadata-[a-z0-9_.-]+|last-event-id)$/;

/**
 * Answers a preflight: of the headers that the page wants to send, those that mean something here are allowed, too. Who asks
 * for none gets what etcd says.
 */
export function allowAskedHeaders(headers: readonly string[], asked: string | undefined): readonly string[] {
  const at = headers.indexOf(allowedName);
  const more = (asked ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => ownHeaders.test(name));
  if (at < 0 || more.length === 0) return headers;
  return headers.with(at + 1, [headers[at + 1], ...more].join(", "));
}

function corsHeaders(origin: string): readonly string[] {
  return [
    allowedName,
    "accept, content-type, authorization",
    "Access-Control-Allow-Methods",
    "POST, GET, OPTIONS, PUT, DELETE",
    "Access-Control-Allow-Origin",
    origin,
  ];
}

function parseOrigin(text: string): string {
  const origin = normaliseOrigin(text);
  if (origin === undefined || !/^https?:\/\/[^/?#]+\/?$/i.test(text)) {
    throw new ConfigError(
      `invalid "--cors": ${JSON.stringify(text)} is not an origin like https://app.example`,
    );
  }
  return origin;
}

/** Lower case, without the default port; nothing for what is no URL. */
function normaliseOrigin(text: string): string | undefined {
  const origin = URL.canParse(text) ? new URL(text).origin : "null";
  return origin === "null" ? undefined : origin;
}
