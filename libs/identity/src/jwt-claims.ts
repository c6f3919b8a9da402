import { decodeJwt } from "jose";

/** What a JWT of etcd's says of itself (auth/jwt.go: `username`, `revision`, `exp`). Read, not verified: etcd decides. */
export interface JwtClaims {
  readonly username: string | undefined;
  /** Of users and roles, when it was made. */
  readonly revision: bigint | undefined;
  /** When it ends, in milliseconds since 1970. */
  readonly expiresAtMs: number | undefined;
}

/** @returns nothing for a token of another kind: etcd's simple tokens have two parts and no claims */
export function readJwt(token: string): JwtClaims | undefined {
  try {
    const { username, revision, exp } = decodeJwt(token);
    return {
      username: typeof username === "string" ? username : undefined,
      revision: typeof revision === "number" ? BigInt(Math.trunc(revision)) : undefined,
      expiresAtMs: exp === undefined ? undefined : exp * 1000,
    };
  } catch {
    return undefined; // a simple token, or no token at all
  }
}
