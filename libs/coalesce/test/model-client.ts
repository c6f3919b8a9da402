import { type Event, fromBinary, type WatchResponse, WatchResponseSchema } from "@etcd-edge/proto";
import { hasKey, type KeyRange } from "../src/range/key-range.ts";
import type { FanPort } from "../src/watch/fan.ts";
import type { ModelStreamPort } from "./model-connection.ts";
import type { Change, ModelEtcd } from "./model-etcd.ts";

/** What a client asked for, and what the model says it must get. */
export interface Expectation {
  readonly range: KeyRange;
  readonly start: bigint;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  /** The store's revision when it asked. */
  readonly headWhenAsked: bigint;
}

interface ClientWatch extends Expectation {
  /** From here on it must get everything. */
  readonly next: bigint;
  readonly events: Event[];
  end: WatchResponse | undefined;
}

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** A client that checks every message it gets against the model, as it comes. */
export class ModelClient implements ModelStreamPort {
  readonly fans: FanPort | undefined;
  readonly #etcd: ModelEtcd;
  readonly #asked: Expectation[] = [];
  readonly watches: Map<bigint, ClientWatch> = new Map();
  readonly over: ClientWatch[] = [];
  readonly refused: WatchResponse[] = [];
  isReading = true;
  /** Its etcd was restored from a backup: what it had has become untrue, and only the end of its watches is looked at. */
  isRestored = false;
  progressAnswers = 0;
  endedWith: { readonly code: number; readonly message: string } | undefined;
  #highest = 0n;

  /** @param fans its connection, if that takes what streams have in common */
  constructor(etcd: ModelEtcd, fans: FanPort | undefined) {
    this.#etcd = etcd;
    this.fans = fans;
  }

  asks(expectation: Expectation): void {
    this.#asked.push(expectation);
  }

  get waiting(): number {
    return this.#asked.length;
  }

  end(code: number, message: string): void {
    this.endedWith = { code, message };
  }

  send(head: Uint8Array, body: Uint8Array): boolean {
    const bytes = new Uint8Array(head.length + body.length);
    bytes.set(head);
    bytes.set(body, head.length);
    this.#take(fromBinary(WatchResponseSchema, bytes));
    return this.isReading;
  }

  #take(response: WatchResponse): void {
    const revision = response.header?.revision ?? 0n;
    if (response.created) {
      this.#created(response, revision);
      return;
    }
    if (response.watchId === -1n) {
      this.progressAnswers++;
      this.#rises(revision);
      for (const watch of this.watches.values()) this.#hasAllUpTo(watch, revision);
      return;
    }
    const watch = this.watches.get(response.watchId);
    if (watch === undefined) throw new Error(`a message for the unknown watch ${response.watchId}`);
    if (response.canceled) {
      this.watches.delete(response.watchId);
      watch.end = response;
      this.over.push(watch);
      const last = watch.events.at(-1)?.kv?.modRevision ?? watch.next - 1n;
      const { compactRevision } = response;
      if (this.isRestored) return;
      // An old etcd leaves out deletes at the compacted revision: that one is gone too (rule 5).
      const gone = this.#etcd.compactRevision + (this.#etcd.version === "3.4.23" ? 1n : 0n);
      if (compactRevision > gone) throw new Error("compacted at a revision that is not");
      if (compactRevision > 0n && compactRevision <= last + 1n)
        throw new Error("compacted, but nothing it needs is");
    } else if (response.events.length === 0) {
      this.#rises(revision);
      this.#hasAllUpTo(watch, revision);
    } else {
      this.#events(watch, response, revision);
    }
  }

  #created(response: WatchResponse, revision: bigint): void {
    const asked = this.#asked.shift();
    if (asked === undefined) throw new Error("created without a create");
    if (response.canceled) {
      this.refused.push(response);
      return;
    }
    this.#rises(revision);
    if (revision < asked.headWhenAsked)
      throw new Error("rule 1: created at a revision older than the create");
    const next = asked.start === 0n ? revision + 1n : asked.start;
    this.watches.set(response.watchId, { ...asked, next, events: [], end: undefined });
  }

  #events(watch: ClientWatch, response: WatchResponse, revision: bigint): void {
    const last = response.events.at(-1)?.kv?.modRevision;
    if (revision !== last) throw new Error(`rule 31: header ${revision} on an event of ${last}`);
    if (revision > this.#highest) this.#highest = revision;
    for (const event of response.events) {
      const expected = this.expected(watch)[watch.events.length];
      if (expected === undefined || !isSame(event, expected)) {
        const got = `${text(event.kv?.key ?? new Uint8Array())}@${event.kv?.modRevision}`;
        const last = watch.events.at(-1)?.kv?.modRevision;
        throw new Error(
          `expected ${expected?.key}@${expected?.revision}, got ${got} after ${last}; watch ${response.watchId} from ${watch.next}`,
        );
      }
      this.#checkPrevious(watch, event, expected);
      watch.events.push(event);
    }
    // A revision is never split.
    const after = this.expected(watch)[watch.events.length];
    if (after !== undefined && after.revision === last) throw new Error(`the revision ${last} was split`);
  }

  #checkPrevious(watch: ClientWatch, event: Event, change: Change): void {
    const before = this.#etcd.at(change.key, change.revision - 1n);
    if (!watch.prevKv) {
      if (event.prevKv !== undefined) throw new Error("a previous value that nobody asked for");
    } else if (event.prevKv !== undefined) {
      if (text(event.prevKv.value) !== before?.value) throw new Error("the wrong previous value");
    } else if (before !== undefined && change.revision - 1n >= this.#etcd.compactRevision) {
      throw new Error(`rule 20: no previous value for ${change.key}@${change.revision}`);
    }
  }

  #rises(revision: bigint): void {
    if (revision < this.#highest) throw new Error(`rule 31: header ${revision} after ${this.#highest}`);
    this.#highest = revision;
  }

  #hasAllUpTo(watch: ClientWatch, revision: bigint): void {
    const missing = this.expected(watch)[watch.events.length];
    if (missing !== undefined && missing.revision <= revision) {
      throw new Error(`progress ${revision}, but ${missing.key}@${missing.revision} is missing`);
    }
  }

  /** All that a watch must get, of what has happened so far. */
  expected(watch: ClientWatch): Change[] {
    return this.#etcd.history.filter(
      ({ revision, key, isDelete }) =>
        revision >= watch.next &&
        !(isDelete ? watch.noDelete : watch.noPut) &&
        hasKey(
          watch.range,
          Uint8Array.from(key, (letter) => letter.charCodeAt(0)),
        ),
    );
  }
}

function isSame(event: Event, change: Change): boolean {
  return (
    event.kv?.modRevision === change.revision &&
    text(event.kv.key) === change.key &&
    (event.type === 1) === change.isDelete &&
    text(event.kv.value) === change.value
  );
}
