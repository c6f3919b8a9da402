import type { ServerResponse } from "node:http";

/** Headers that belong to one connection of HTTP/1.1: HTTP/2 has other means, and forbids them (RFC 9113 §8.2.2). */
const hopHeaders: ReadonlySet<string> = new Set(["transfer-encoding", "connection", "trailer"]);

/** Begins an answer over either version of HTTP. @param headers name, value, name, value */
export function startAnswer(response: ServerResponse, status: number, headers: readonly string[]): void {
  response.writeHead(
    status,
    response.req.httpVersionMajor < 2 ? (headers as string[]) : withoutHopHeaders(headers),
  );
}

function withoutHopHeaders(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    if (!hopHeaders.has(name.toLowerCase())) kept.push(name, headers[i + 1] ?? "");
  }
  return kept;
}
