import { type Event, Event_EventType, type KeyValue } from "@etcd-edge/proto";
import type { Change, EtcdHistory } from "./etcd-history.ts";

/** What is asked for. Keys are latin1; no `rangeEnd` for a single key. */
export interface WatchWish {
  readonly key: string;
  readonly rangeEnd: string;
  /** 0 for from now on. */
  readonly start: bigint;
  readonly prevKv: boolean;
  readonly filters: readonly (0 | 1)[];
  readonly progressNotify: boolean;
}

/** What was found by all watches together. */
export interface Findings {
  eventsCompared: number;
  claimsChecked: number;
  compacted: number;
  differences: number;
  /** The first few, in words. */
  readonly texts: string[];
}

type Item =
  | { readonly t: "events"; readonly events: readonly Event[] }
  | { readonly t: "claim"; readonly revision: bigint };

/** One watch through a proxy: what came is compared with what etcd says, one by one, as soon as that is known. */
export class CheckedWatch {
  readonly #wish: WatchWish;
  readonly #history: EtcdHistory;
  readonly #findings: Findings;
  /** What came and has not been compared. */
  readonly #items: Item[] = [];
  /** Of the history: everything before it was compared. */
  #index: number | undefined = undefined;
  #next = 0n;

  constructor(wish: WatchWish, history: EtcdHistory, findings: Findings) {
    this.#wish = wish;
    this.#history = history;
    this.#findings = findings;
  }

  /** The watch is there. @param revision of the created header */
  begin(revision: bigint): void {
    this.#next = this.#wish.start === 0n ? revision + 1n : this.#wish.start;
  }

  takeEvents(events: readonly Event[]): void {
    this.#items.push({ t: "events", events });
  }

  /** Somebody says that all is there up to a revision. */
  takeClaim(revision: bigint): void {
    this.#items.push({ t: "claim", revision });
  }

  /** Compares what can be compared. */
  check(): void {
    for (let item = this.#items[0]; item !== undefined; item = this.#items[0]) {
      const upto = item.t === "claim" ? item.revision : (item.events.at(-1)?.kv?.modRevision ?? 0n);
      if (upto > this.#history.head) return;
      this.#items.shift();
      if (item.t === "claim") this.#checkClaim(item.revision);
      else this.#checkEvents(item.events);
    }
  }

  /** How many events up to the history's head have not come. */
  get missing(): number {
    this.check();
    let count = 0;
    for (let index = this.#begin(); index < this.#history.changes.length; index++) {
      const change = this.#history.changes[index];
      if (change !== undefined && this.#wants(change)) count++;
    }
    return count;
  }

  #checkEvents(events: readonly Event[]): void {
    for (const event of events) {
      const expected = this.#expected();
      this.#findings.eventsCompared++;
      if (expected === undefined || !isSame(event, expected, this.#wish.prevKv)) {
        this.#differ(`expected ${describe(expected)}, got ${describeEvent(event)}`);
        this.#index = this.#history.indexOf((event.kv?.modRevision ?? 0n) + 1n);
        return;
      }
      this.#index = this.#begin() + 1;
    }
    const after = this.#expected();
    if (after !== undefined && after.revision === events.at(-1)?.kv?.modRevision)
      this.#differ(`the revision ${after.revision} was split`);
  }

  #checkClaim(revision: bigint): void {
    this.#findings.claimsChecked++;
    const expected = this.#expected();
    if (expected !== undefined && expected.revision <= revision)
      this.#differ(`progress ${revision}, but ${describe(expected)} is missing`);
  }

  /** The next change that it has to be told of. */
  #expected(): Change | undefined {
    const { changes } = this.#history;
    let index = this.#begin();
    while (index < changes.length && !this.#wants(changes[index] as Change)) index++;
    this.#index = index;
    return changes[index];
  }

  #begin(): number {
    this.#index ??= this.#history.indexOf(this.#next);
    return this.#index;
  }

  #wants({ key, isDelete }: Change): boolean {
    const { key: from, rangeEnd, filters } = this.#wish;
    if (filters.includes(isDelete ? 1 : 0)) return false;
    if (rangeEnd === "") return key === from;
    return key >= from && (rangeEnd === "\0" || key < rangeEnd);
  }

  #differ(text: string): void {
    this.#findings.differences++;
    const { key, rangeEnd } = this.#wish;
    if (this.#findings.texts.length < 20)
      this.#findings.texts.push(`${key}…${rangeEnd} from ${this.#next}: ${text}`);
  }
}

function isSame({ type, kv, prevKv }: Event, change: Change, wantsPrevious: boolean): boolean {
  if ((type === Event_EventType.DELETE) !== change.isDelete || !isSameKv(kv, change.kv)) return false;
  return wantsPrevious ? isSameKv(prevKv, change.previous) : prevKv === undefined;
}

function isSameKv(a: KeyValue | undefined, b: KeyValue | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.lease === b.lease &&
    Buffer.compare(a.key, b.key) === 0 &&
    Buffer.compare(a.value, b.value) === 0
  );
}

function describe(change: Change | undefined): string {
  return change === undefined ? "nothing" : `${change.isDelete ? "-" : ""}${change.key}@${change.revision}`;
}

function describeEvent({ type, kv, prevKv }: Event): string {
  const key = Buffer.from(kv?.key ?? []).toString("latin1");
  const previous = prevKv === undefined ? "" : ` (before: @${prevKv.modRevision})`;
  return `${type === Event_EventType.DELETE ? "-" : ""}${key}@${kv?.modRevision}${previous}`;
}
