import { describe, expect, it } from "vitest";
import { checkHistory } from "../check-history.ts";
import type { History } from "../history/history.ts";
import type { Operation } from "../history/operation.ts";
import type { RightRecord } from "../history/rights.ts";
import {
  getAction,
  operation,
  putAction,
  response,
  sampleEvents,
  sampleHistory,
  sampleWatch,
  stored,
} from "../history/sample-history.ts";
import type { WatchMessage, WatchRecord } from "../history/watch-record.ts";
import { checkPermitted } from "./permitted.ts";

const { a1, b1, a2 } = sampleEvents;
const user = "ann";
const span = { key: "a", end: "c" };
const always: RightRecord = { user, access: "read", span, grantAskedAt: -20_000, grantAnsweredAt: -19_990 };
const mayWrite: RightRecord = { ...always, access: "write" };
const until = (askedAt: number): RightRecord => ({
  ...always,
  revokeAskedAt: askedAt,
  revokeAnsweredAt: askedAt + 10,
});
const since = (askedAt: number): RightRecord => ({
  ...always,
  grantAskedAt: askedAt,
  grantAnsweredAt: askedAt + 10,
});

interface Parts {
  readonly operations?: readonly Operation[];
  readonly watches?: readonly WatchRecord[];
  readonly records?: readonly RightRecord[];
  readonly staleMs?: number;
  readonly watchEndsMs?: number;
  readonly disturbances?: History["disturbances"];
}

function historyOf({ records = [], staleMs = 0, watchEndsMs, ...parts }: Parts): History {
  const own = {
    operations: parts.operations?.map((one) => ({ ...one, user })) ?? [],
    watches: parts.watches?.map((one) => ({ ...one, user })) ?? [],
  };
  return sampleHistory({ ...parts, ...own, rights: { records, staleMs, watchEndsMs } });
}

const read = (at: number, serializable = false): Operation =>
  operation([at, at + 10], getAction("a", serializable), { t: "range", kvs: [stored("a", "1", 2n)] }, 2n);
const write = (at: number): Operation => operation([at, at + 10], putAction("b", "1"), { t: "put" }, 3n);
const refused = (one: Operation): Operation => ({
  ...one,
  outcome: { t: "refused", reason: "7 etcdserver: permission denied" },
});
const denied = (at: number): WatchMessage => ({
  t: "canceled",
  at,
  revision: 2n,
  compactRevision: 0n,
  reason: "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
});
/** A watch that is told of b=1, which was written at 20,000 ms, a moment later. */
const told = (more: Partial<WatchRecord> = {}): Parts => ({
  operations: [write(20_000)],
  watches: [sampleWatch([{ ...response(a1, b1), at: 20_020 }], {}, more)],
});

describe("what users may", () => {
  it.each<[string, Parts]>([
    ["a read with a right", { operations: [read(0)], records: [always] }],
    ["a read while the right is given", { operations: [read(0)], records: [since(5)] }],
    ["a read while the right is taken", { operations: [read(0)], records: [until(-5)] }],
    ["a refusal without a right", { operations: [refused(read(0)), refused(write(0))] }],
    ["a refusal of a write to who may read", { operations: [refused(write(0))], records: [always] }],
    ["a refusal right behind the end", { operations: [refused(read(0))], records: [until(5)] }],
    [
      "a refusal by a member that has not heard yet",
      { operations: [refused(read(0, true))], records: [since(-100)] },
    ],
    ["a read by a member that has not heard yet", { operations: [read(0, true)], records: [until(-2_000)] }],
    [
      "a read by a member that was cut off",
      { operations: [read(0, true)], records: [until(-9_000)], disturbances: [[-4_000, -3_000]] },
    ],
    ["a read that counts for a while", { operations: [read(0)], records: [until(-900)], staleMs: 1_000 }],
    ["a watch with a right", { ...told(), records: [always, mayWrite] }],
    ["a watch of etcd's that goes on without", { ...told(), records: [until(10), mayWrite] }],
    [
      "a watch that is told of what was before",
      { ...told(), records: [until(19_000), mayWrite], staleMs: 1_000, watchEndsMs: 2_000 },
    ],
    ["a watch that is refused", { watches: [sampleWatch([denied(5)])] }],
    [
      "a watch that is refused when the right ends",
      { watches: [sampleWatch([denied(500)])], records: [until(100)] },
    ],
  ])("%s is right", (_, parts) => {
    expect(checkPermitted(historyOf(parts))).toEqual([]);
  });

  it.each<[string, string, Parts]>([
    ["a read without a right", "was shown what it may not read", { operations: [read(0)] }],
    ["a read after the right", "was shown", { operations: [read(100)], records: [until(50)] }],
    ["a read before the right", "was shown", { operations: [read(0)], records: [since(50)] }],
    [
      "a read of more than the right",
      "was shown",
      { operations: [read(0)], records: [{ ...always, span: { key: "b" } }] },
    ],
    [
      "a read that counts for too long",
      "was shown",
      { operations: [read(9_000)], records: [until(0)], staleMs: 1_000 },
    ],
    [
      "a local read long after the right",
      "was shown",
      { operations: [read(9_000, true)], records: [until(0)] },
    ],
    [
      "a local read of who never had it",
      "was shown",
      { operations: [read(0, true)], disturbances: [[0, 100]] },
    ],
    [
      "a write with a right to read",
      "changed what it may not write",
      { operations: [write(0)], records: [always] },
    ],
    [
      "a write after the right",
      "changed",
      {
        operations: [write(100)],
        records: [{ ...mayWrite, revokeAskedAt: 0, revokeAnsweredAt: 10 }],
        staleMs: 1_000,
      },
    ],
    [
      "a comparison of what may not be read",
      "was shown",
      {
        operations: [
          operation(
            [0, 10],
            { t: "txn", compares: [{ key: "z", target: "value", equals: "1" }], success: [], failure: [] },
            { t: "txn", succeeded: false, answers: [] },
            2n,
          ),
        ],
        records: [always],
      },
    ],
    [
      "a refusal of what may be read",
      "was refused what it may do",
      { operations: [refused(read(0))], records: [always] },
    ],
    [
      "a local refusal long after it was given",
      "was refused",
      { operations: [refused(read(0, true))], records: [since(-6_000)] },
    ],
    [
      "a right in two pieces",
      "was shown",
      { operations: [read(2_000)], records: [until(1_000), since(3_000)] },
    ],
    ["a watch without a right", "was told what it may not read", { ...told(), records: [mayWrite] }],
    [
      "a watch that goes on without",
      "was told",
      { ...told(), records: [until(10), mayWrite], staleMs: 1_000, watchEndsMs: 2_000 },
    ],
    [
      "a watch that is refused what may be read",
      "was refused what it may read",
      { watches: [sampleWatch([denied(500)])], records: [always] },
    ],
    [
      "a watch that is there at the end",
      "is open at the end",
      {
        watches: [sampleWatch([response(a2)], {}, { isOpenAtEnd: true })],
        records: [until(10)],
        staleMs: 1_000,
        watchEndsMs: 2_000,
      },
    ],
  ])("%s is found", (_, text, parts) => {
    const history = historyOf(parts);
    const violations = checkPermitted(history);
    expect(violations.map((one) => one.text).join("\n")).toContain(text);
    for (const { evidence } of violations) expect(evidence.length).toBeGreaterThan(1);
    expect(checkHistory(history).violations.map((one) => one.promise)).toContain("permitted");
  });

  it("a watch that was refused for want of a right is no broken cancel", () => {
    const history = historyOf({ watches: [sampleWatch([denied(500)])], records: [until(100)] });
    expect(checkHistory(history).violations.map((one) => one.promise)).not.toContain("cancels");
    const [watch] = history.watches;
    const { user: _user, ...everybody } = watch ?? sampleWatch([]);
    const promises = checkHistory({ ...history, watches: [everybody] }).violations.map((one) => one.promise);
    expect(promises).toContain("cancels");
  });
});
