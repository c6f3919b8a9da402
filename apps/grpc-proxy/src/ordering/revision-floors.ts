import type { ClientState } from "../relay/client-state.ts";

/** Tokens whose revisions are remembered; past that the one unused longest is forgotten. */
const maxTokens = 10_000;

/**
 * The highest revision each client has seen (rule 29): by its connection, and by its token, which may come over another
 * connection tomorrow. What is shown to a client below it would be the past.
 */
export class RevisionFloors {
  readonly #byToken = new Map<string, bigint>();

  of(client: ClientState, token: string | undefined): bigint {
    const ofToken = token === undefined ? 0n : (this.#byToken.get(token) ?? 0n);
    return ofToken > client.shownRevision ? ofToken : client.shownRevision;
  }

  raise(client: ClientState, token: string | undefined, revision: bigint): void {
    if (revision > client.shownRevision) client.shownRevision = revision;
    if (token === undefined) return;
    const known = this.#byToken.get(token) ?? 0n;
    this.#byToken.delete(token); // to the end of the line
    this.#byToken.set(token, revision > known ? revision : known);
    if (this.#byToken.size <= maxTokens) return;
    const [oldest] = this.#byToken.keys();
    if (oldest !== undefined) this.#byToken.delete(oldest);
  }
}
