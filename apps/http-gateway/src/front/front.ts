import type { IncomingMessage } from "node:http";
import { cleanPath } from "./clean-path.ts";
import { allowAskedHeaders, type CorsPolicy } from "./cors.ts";
import type { HostWhitelist } from "./host-whitelist.ts";

/** Where a request goes after the checks that come before any routing. */
export type FrontDecision =
  /** Answer this and do no more. */
  | {
      readonly t: "answer";
      readonly status: number;
      readonly headers: readonly string[];
      readonly body: string;
    }
  /** Route by this path; the answer carries these headers. `search` begins with the question mark, or is empty. */
  | {
      readonly t: "pass";
      readonly path: string;
      readonly search: string;
      readonly headers: readonly string[];
    };

export interface FrontRules {
  /** Nothing on a TLS listener, where a rebound name fails the handshake. */
  readonly hostWhitelist: HostWhitelist | undefined;
  readonly cors: CorsPolicy;
  /** Told of each refused Host. */
  readonly onHostRejected: (host: string) => void;
}

const olderPrefix = /^\/v3(?:alpha|beta)\//;
const plainText = ["Content-Type", "text/plain; charset=utf-8", "X-Content-Type-Options", "nosniff"];

/**
 * The checks at etcd's client port, in etcd's order: older prefixes are rewritten to `/v3/`, the Host is checked, CORS
 * headers are chosen, OPTIONS is answered on any path, unclean paths are redirected.
 */
export function decide(rules: FrontRules, request: IncomingMessage): FrontDecision {
  const url = request.url ?? "/";
  const query = url.indexOf("?");
  const rawPath = query === -1 ? url : url.slice(0, query);
  const path = decodePath(rawPath)?.replace(olderPrefix, "/v3/");
  const host = request.headers.host;
  if (rules.hostWhitelist !== undefined && !rules.hostWhitelist.allows(host)) {
    rules.onHostRejected(host ?? "");
    return { t: "answer", status: 421, headers: plainText, body: rejection(host ?? "") };
  }
  const cors = rules.cors(request.headers.origin);
  if (request.method === "OPTIONS") {
    const asked = request.headers["access-control-request-headers"];
    const headers = [...allowAskedHeaders(cors, asked), "Content-Length", "0"];
    return { t: "answer", status: 200, headers, body: "" };
  }
  if (path === undefined) {
    return { t: "answer", status: 400, headers: [...cors, ...plainText], body: "400 Bad Request" };
  }
  const cleaned = path === "/v3" ? "/v3/" : cleanPath(path);
  if (cleaned !== path) {
    const location = encodeURI(cleaned) + (query === -1 ? "" : url.slice(query));
    return {
      t: "answer",
      // As etcd 3.7: the 301 of older releases turns a POST into a GET.
      status: 307,
      headers: [...cors, "Location", location, "Content-Length", "0"],
      body: "",
    };
  }
  return { t: "pass", path, search: query === -1 ? "" : url.slice(query), headers: cors };
}

function decodePath(rawPath: string): string | undefined {
  if (!rawPath.includes("%")) return rawPath;
  try {
    return decodeURIComponent(rawPath);
  } catch {
    // An escape that is none, or not UTF-8: no path of ours.
    return undefined;
  }
}

function rejection(host: string): string {
  return [
    "This Host header is not one that the gateway answers for.",
    "",
    "Use TLS, where the certificate guards the name, or start the gateway with",
    `  http-gateway start --host-whitelist ${JSON.stringify(host)}`,
    "It protects browsers against DNS rebinding, see CVE-2018-5702.",
    "",
  ].join("\n");
}
