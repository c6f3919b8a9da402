import { createPrivateKey, createSecretKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError } from "@etcd-edge/runtime";
import { SignJWT } from "jose";

/** How long a token is good, as long as etcd's own by default; it is made anew when less than half of that is left. */
const lifetimeMs = 300_000;
/** Past that the token made longest ago is forgotten. */
const maxTokens = 10_000;

/** Algorithms that etcd takes for `--auth-token=jwt,…,sign-method=…`. */
const methods = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "HS256",
  "HS384",
  "HS512",
] as const;
export type JwtMethod = (typeof methods)[number];

export function isJwtMethod(text: string): text is JwtMethod {
  return methods.some((one) => one === text);
}

/**
 * Reads `--auth-jwt-key`: etcd's own `priv-key` (PEM), or its secret for the HMAC methods.
 * @throws ConfigError that names the flag
 */
export function readJwtKey(file: string, method: JwtMethod): KeyObject {
  try {
    const content = readFileSync(file);
    return method.startsWith("HS") ? createSecretKey(content) : createPrivateKey(content);
  } catch (error) {
    throw new ConfigError(`--auth-jwt-key: cannot read a key for ${method} from ${file}`, { cause: error });
  }
}

export interface JwtMintOptions {
  readonly key: KeyObject;
  readonly method: JwtMethod;
  /**
   * The revision of users and roles that etcd compares a token with (rule 38); nothing while auth is off.
   * @throws where etcd cannot be asked
   */
  readonly authRevision: () => Promise<bigint | undefined>;
  /** Milliseconds since 1970. Default: the machine's clock. */
  readonly now?: () => number;
}

interface Minted {
  readonly revision: bigint;
  readonly madeAtMs: number;
  readonly token: Promise<string>;
}

/**
 * Tokens for users whom a client certificate has named, signed with etcd's own key. etcd takes one whose `revision` equals
 * that of its users and roles; when they change, `forget` and ask again.
 */
export class JwtMint {
  readonly #options: JwtMintOptions;
  readonly #minted = new Map<string, Minted>();
  #revision: Promise<bigint | undefined> | undefined = undefined;

  constructor(options: JwtMintOptions) {
    this.#options = options;
  }

  /** A token that is good for half its life at least; nothing while auth is off. @throws where the auth revision cannot be had */
  async tokenFor(user: string): Promise<string | undefined> {
    this.#revision ??= this.#options.authRevision().catch((error: unknown) => {
      this.#revision = undefined;
      throw error;
    });
    const revision = await this.#revision;
    if (revision === undefined) {
      this.#revision = undefined; // it may be switched on
      return undefined;
    }
    const nowMs = (this.#options.now ?? Date.now)();
    const known = this.#minted.get(user);
    if (known?.revision === revision && nowMs - known.madeAtMs < lifetimeMs / 2) return await known.token;
    const minted = { revision, madeAtMs: nowMs, token: this.#sign(user, revision, nowMs) };
    this.#minted.delete(user);
    this.#minted.set(user, minted);
    if (this.#minted.size > maxTokens) {
      const [oldest] = this.#minted.keys();
      if (oldest !== undefined) this.#minted.delete(oldest);
    }
    return await minted.token;
  }

  /** Users or roles have changed, or etcd says so (`revision of auth store is old`). */
  forget(): void {
    this.#revision = undefined;
    this.#minted.clear();
  }

  #sign(user: string, revision: bigint, nowMs: number): Promise<string> {
    const { key, method } = this.#options;
    return new SignJWT({ username: user, revision: Number(revision) })
      .setProtectedHeader({ alg: method })
      .setExpirationTime(Math.ceil((nowMs + lifetimeMs) / 1000))
      .sign(key);
  }
}
