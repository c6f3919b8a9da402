import type { IncomingMessage } from "node:http";

/** What is one for all requests of a connection: over HTTP/2 they are streams of one session. */
export function connectionOf(request: IncomingMessage): object {
  const { stream } = request as { stream?: { readonly session?: object } };
  return stream?.session ?? request.socket;
}
