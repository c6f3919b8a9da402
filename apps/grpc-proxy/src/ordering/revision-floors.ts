import type { ClientState } from "../relay/client-state.ts";

/** Tokens whose revisions are remembered; past that the one unused longest is forgotten. */
const maxTokens = 10_000;

/**
 * The highest revision each client has seen (rule 29): by its connection, and by its token, which may come over another
 * connection tomorrow. What is shown to a client below it would be the past.
 */
export class RevisionFloors {
  readonly #byToken = new Map<string, bigint>();
  /** Counts the histories seen: what was shown of one says nothing about the next. */
  #epoch = 0;

  of(client: ClientState, token: string | undefined): bigint {
    const ofToken = token === undefined ? 0n : (this.#byToken.get(token) ?? 0n);
    const ofClient = this.#shownTo(client);
    return ofToken > ofClient ? ofToken : ofClient;
  }

  /** Another history has taken the place of the one whose revisions are remembered (rules 3 and 32). */
  forget(): void {
    this.#epoch++;
    this.#byToken.clear();
  }

  raise(client: ClientState, token: string | undefined, revision: bigint): void {
    if (revision > this.#shownTo(client)) client.shown = { epoch: this.#epoch, revision };
    if (token === undefined) return;
    const known = this.#byToken.get(token) ?? 0n;
    this.#byToken.delete(token); // to the end of the line
    this.#byToken.set(token, revision > known ? revision : known);
    if (this.#byToken.size <= maxTokens) return;
    const [oldest] = this.#byToken.keys();
    if (oldest !== undefined) this.#byToken.delete(oldest);
  }

  #shownTo({ shown }: ClientState): bigint {
    return shown?.epoch === this.#epoch ? shown.revision : 0n;
  }
}
