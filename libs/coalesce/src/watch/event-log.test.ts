import type { EventView } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { EventLog } from "./event-log.ts";

const header = { clusterId: 7n, memberId: 9n, revision: 0n, raftTerm: 2n };

function event(modRevision: number, bytes = 10): EventView {
  const plain = new Uint8Array(bytes);
  const key = Uint8Array.of(1);
  return {
    key,
    modRevision: BigInt(modRevision),
    isDelete: false,
    isCreate: false,
    plain,
    prevKv: undefined,
  };
}

const spans = (segments: readonly { prev: bigint; upto: bigint }[]) =>
  segments.map(({ prev, upto }) => [Number(prev), Number(upto)]);

describe("EventLog", () => {
  it("cuts what comes at 1,000 revisions, and never inside one", () => {
    const log = new EventLog(0n);
    const many = Array.from({ length: 2_500 }, (_, i) => event(1 + Math.floor(i / 2)));
    expect(spans(log.append(many, 2_000n, header))).toEqual([
      [0, 1_000],
      [1_000, 2_000],
    ]);
    expect(log.head).toBe(2_000n);
  });

  it("cuts at 1 MiB, between revisions, and leaves one that is larger whole", () => {
    const log = new EventLog(0n);
    const large = [event(1, 700_000), event(2, 700_000), event(3, 10), event(3, 3_000_000), event(4)];
    expect(spans(log.append(large, 4n, header))).toEqual([
      [0, 2],
      [2, 3],
      [3, 4],
    ]);
  });

  it("finds what is above a position, across stretches in which nothing happened", () => {
    const log = new EventLog(10n);
    log.append([event(12)], 12n, header);
    log.append([], 20n, header);
    log.append([event(25)], 25n, header);
    expect([10n, 11n, 12n, 24n].map((position) => Number(log.after(position)?.upto))).toEqual([
      12, 12, 25, 25,
    ]);
    expect(log.after(25n)).toBeUndefined();
  });

  it("gives small segments together, up to 1,000 events, and the first whatever its size", () => {
    const log = new EventLog(0n);
    for (let i = 1; i <= 1_500; i++) log.append([event(i)], BigInt(i), header);
    expect(log.stretch(0n)).toHaveLength(1_000);
    expect(log.stretch(1_400n)).toHaveLength(100);
    expect(log.stretch(1_500n)).toEqual([]);
    log.append([event(1_501, 5_000_000)], 1_501n, header);
    log.append([event(1_502)], 1_502n, header);
    expect(spans(log.stretch(1_500n))).toEqual([[1_500, 1_501]]);
  });

  it("drops whole segments, oldest first, and says from where on it is whole", () => {
    const log = new EventLog(0n);
    for (let i = 1; i <= 10; i++) log.append([event(i)], BigInt(i), header);
    log.trim(log.bytes - 1);
    expect(log.base).toBe(1n);
    log.trim(0);
    expect([log.base, log.head, log.bytes]).toEqual([10n, 10n, 0]);
  });
});
