import { readJwt } from "./jwt-claims.ts";

/** Past that the token seen longest ago is forgotten. */
const maxTokens = 10_000;

/** Whose tokens are whose, as far as this process can know: a JWT says it, and of a simple token who saw it being given. */
export class TokenNames {
  readonly #names = new Map<string, string>();

  /** etcd gave this token to that user. */
  note(token: string, user: string): void {
    this.#names.delete(token);
    this.#names.set(token, user);
    if (this.#names.size <= maxTokens) return;
    const [oldest] = this.#names.keys();
    if (oldest !== undefined) this.#names.delete(oldest);
  }

  /** The user of a token that etcd has taken once; nothing where that is not known. */
  nameOf(token: string): string | undefined {
    return this.#names.get(token) ?? readJwt(token)?.username;
  }
}
