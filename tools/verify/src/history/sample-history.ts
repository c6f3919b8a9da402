import type { History } from "./history.ts";
import type { Action, Answer, Operation } from "./operation.ts";
import type { ChangeEvent, Stored } from "./stored.ts";
import type { WatchMessage, WatchRecord, WatchRequest } from "./watch-record.ts";

/*
 * Histories by hand, for tests: keys are single letters and etcd's answers are written as the store would give them.
 *
 *     revision   2      3      4        5          6
 *     change     a=1    b=1    a=2      a gone     a=3, b=2
 */

/** A key as etcd has it. */
export function stored(key: string, value: string, at: bigint, more: Partial<Stored> = {}): Stored {
  return { key, value, createRevision: at, modRevision: at, version: 1n, lease: 0n, ...more };
}

function put(kv: Stored, prev?: Stored): ChangeEvent {
  return prev === undefined ? { kind: "put", kv } : { kind: "put", kv, prev };
}

function gone(key: string, at: bigint, prev?: Stored): ChangeEvent {
  const kv = stored(key, "", at, { createRevision: 0n, version: 0n });
  return prev === undefined ? { kind: "delete", kv } : { kind: "delete", kv, prev };
}

const a1 = stored("a", "1", 2n);
const b1 = stored("b", "1", 3n);
const a2 = stored("a", "2", 4n, { createRevision: 2n, version: 2n });
const a3 = stored("a", "3", 6n);
const b2 = stored("b", "2", 6n, { createRevision: 3n, version: 2n });

/** The changes in the picture, each with what was there before it. */
export const sampleEvents = {
  a1: put(a1),
  b1: put(b1),
  a2: put(a2, a1),
  goneA: gone("a", 5n, a2),
  a3: put(a3),
  b2: put(b2, b1),
} as const;

/** The same event as a watch without `prev_kv` tells it. */
export function plain({ kind, kv }: ChangeEvent): ChangeEvent {
  return { kind, kv };
}

/** A good history of the store in the picture, but for what a test puts into it. */
export function sampleHistory(parts: Partial<History> = {}): History {
  const { a1: one, b1: two, a2: three, goneA: four, a3: five, b2: six } = sampleEvents;
  const all = [[one], [two], [three], [four], [five, six]];
  return {
    prefix: "",
    operations: [],
    watches: [],
    leases: [],
    compactions: [],
    disturbances: [],
    reference: {
      from: 0n,
      gaps: [],
      changes: all.map((events, i) => ({ at: (i + 2) * 100, revision: BigInt(i + 2), events })),
    },
    calmFrom: 0,
    endedAt: 60_000,
    ...parts,
  };
}

const everything: WatchRequest = {
  span: { key: "a", end: "c" },
  startRevision: 1n,
  prevKv: true,
  noPut: false,
  noDelete: false,
  progressNotify: false,
  fragment: false,
};

/** A watch on everything from revision 1, with the messages given behind its created. */
export function sampleWatch(
  messages: readonly WatchMessage[],
  request: Partial<WatchRequest> = {},
  more: Partial<WatchRecord> = {},
): WatchRecord {
  return {
    id: 1,
    client: 1,
    stream: 1,
    request: { ...everything, ...request },
    askedAt: 0,
    messages: [{ t: "created", at: 1, revision: 1n, clusterId: 7n }, ...messages],
    isOpenAtEnd: false,
    ...more,
  };
}

/** One response with these events, at a time that follows from its revision. */
export function response(...list: readonly ChangeEvent[]): WatchMessage & { t: "events" } {
  const revision = list.at(-1)?.kv.modRevision ?? 0n;
  return { t: "events", at: Number(revision) * 100, revision, isFragment: false, events: list };
}

/** What a watch on everything is told when all is well. */
export function wholeStory(): readonly WatchMessage[] {
  const { a1: one, b1: two, a2: three, goneA: four, a3: five, b2: six } = sampleEvents;
  return [response(one), response(two), response(three), response(four), response(five, six)];
}

let nextId = 0;

/** An answered operation. */
export function operation(
  times: readonly [number, number],
  action: Action,
  answer: Answer,
  revision: bigint,
  client = 1,
): Operation {
  const [invokedAt, returnedAt] = times;
  const outcome = { t: "answered", answer, revision, clusterId: 7n } as const;
  return { id: nextId++, client, invokedAt, returnedAt, action, outcome };
}

export const putAction = (key: string, value: string): Action => ({ t: "put", key, value, lease: 0n });

export const getAction = (key: string, serializable = false, at?: bigint): Action => ({
  t: "range",
  span: { key },
  serializable,
  ...(at === undefined ? {} : { at }),
});
