/** What a WebSocket handshake may carry of a credential. */
export interface HandshakeHeaders {
  /** `Sec-WebSocket-Protocol` */
  readonly protocol: string | undefined;
  readonly cookie: string | undefined;
  readonly authorization: string | undefined;
}

/**
 * The token of a WebSocket. A browser cannot set headers on one, so etcd's JSON door takes the cookie `token` first and
 * then a subprotocol list `Bearer, TOKEN`. Other clients may send `Authorization` (which etcd drops).
 */
export function credentialOf(headers: HandshakeHeaders): string | undefined {
  return cookieToken(headers.cookie) ?? protocolToken(headers.protocol) ?? headers.authorization;
}

/** The subprotocol to answer with: a browser closes the connection when it offered some and none came back. */
export function answeredProtocol(offered: ReadonlySet<string>): string | false {
  const [first] = offered;
  return first ?? false;
}

/** The cookie `token`: the one way for pages that cannot set headers. */
export function cookieToken(cookie: string | undefined): string | undefined {
  const pair = cookie?.split(";").find((candidate) => candidate.trim().startsWith("token="));
  return pair?.trim().slice("token=".length);
}

function protocolToken(protocol: string | undefined): string | undefined {
  const match = /^\s*Bearer\s*,\s*([^,\s]+)\s*$/.exec(protocol ?? "");
  return match?.[1];
}
