import { describe, expect, it } from "vitest";
import { FakeClock, settle } from "../../test/fake-clock.ts";
import { bytes } from "../../test/scripted-hub.ts";
import { type KeyRange, toKeyRange } from "../range/key-range.ts";
import { ProbeError } from "../watch/probe-flight.ts";
import { ReadPermissions } from "./read-permissions.ts";

function range(key: string, end = ""): KeyRange {
  const found = toKeyRange({ key: bytes(key), rangeEnd: bytes(end) });
  if (found === undefined) throw new Error("no range");
  return found;
}

function create(rememberMs = 5_000, asksFirst = false) {
  const clock = new FakeClock();
  const asked: string[] = [];
  let answer = (): Promise<void> => Promise.resolve();
  const permissions = new ReadPermissions({
    clock,
    rememberMs,
    asksFirst,
    ask: (one) => {
      asked.push(one.t === "span" ? Buffer.from(one.key).toString() : one.t);
      return answer();
    },
  });
  /** Reads keys of a group one by one, none of which was allowed before. */
  const readMany = (from = 0): boolean[] =>
    Array.from({ length: 8 }, (_, i) => permissions.isAllowed(range(`g/${from + i}`)));
  return {
    ...{ permissions, clock, asked, readMany },
    answerWith: (next: () => Promise<void>) => {
      answer = next;
    },
  };
}

describe("rule 28: what a credential may read, so that its reads may be shared with others'", () => {
  it("is what etcd has answered it, and everything in that, for so long and no longer", async () => {
    const { permissions, clock, asked } = create();
    expect(permissions.isAllowed(range("a"))).toBe(false);
    permissions.note(range("a", "c"), clock.nowMs());
    await clock.advance(4_999);
    for (const one of [range("a"), range("b"), range("a", "b"), range("a", "c")])
      expect(permissions.isAllowed(one)).toBe(true);
    for (const one of [range("c"), range("a", "d"), range("a", "\0")])
      expect(permissions.isAllowed(one)).toBe(false);
    await clock.advance(1);
    expect(permissions.isAllowed(range("a"))).toBe(false);
    expect(asked).toEqual([]);
  });

  it("counts from when the read was sent, however late its answer", async () => {
    const { permissions, clock } = create();
    const sentAt = clock.nowMs();
    await clock.advance(4_000);
    permissions.note(range("a"), sentAt);
    expect(permissions.isAllowed(range("a"))).toBe(true);
    await clock.advance(1_000);
    expect(permissions.isAllowed(range("a"))).toBe(false);
  });

  it("is nothing at all where nothing may be remembered", () => {
    const { permissions, clock } = create(0);
    permissions.note(range("a"), clock.nowMs());
    expect(permissions.isAllowed(range("a"))).toBe(false);
  });

  it("is asked about for keys that begin alike, once many were read, and again before it counts no more", async () => {
    const { permissions, clock, asked, readMany } = create();
    expect(readMany().slice(0, 7)).not.toContain(true);
    expect(asked).toEqual(["g/"]);
    await settle();
    expect(permissions.isAllowed(range("g/never read"))).toBe(true);
    await clock.advance(2_499);
    permissions.isAllowed(range("g/1"));
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    permissions.isAllowed(range("g/1"));
    expect(asked).toHaveLength(2);
    await settle();
    await clock.advance(4_999);
    expect(permissions.isAllowed(range("g/1"))).toBe(true);
  });

  it("a group that is refused, or of which nothing is heard, is asked about again a good while later", async () => {
    const { clock, asked, readMany, answerWith } = create();
    answerWith(() => Promise.reject(new ProbeError(7, "etcdserver: permission denied")));
    readMany();
    await settle();
    await clock.advance(59_999);
    expect(readMany()).not.toContain(true);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    answerWith(() => Promise.reject(new ProbeError(14, "no etcd endpoint is available")));
    readMany();
    expect(asked).toHaveLength(2);
    await settle();
    await clock.advance(1_000);
    readMany();
    expect(asked).toHaveLength(3);
  });

  it("is asked about range by range where nobody says how reads went, and again while it is read", async () => {
    const { permissions, clock, asked } = create(5_000, true);
    for (let i = 0; i < 3; i++) expect(permissions.isAllowed(range("a"))).toBe(false);
    expect(asked).toEqual(["point"]);
    await settle();
    for (let i = 0; i < 10; i++) {
      expect(permissions.isAllowed(range("a"))).toBe(true);
      await clock.advance(2_500);
    }
    expect(asked).toHaveLength(10);
  });

  it("is forgotten when users or roles change, also what is being asked then", async () => {
    const { permissions, clock, readMany } = create();
    permissions.note(range("a", "c"), clock.nowMs());
    readMany();
    permissions.forget();
    await settle();
    expect(permissions.isAllowed(range("a"))).toBe(false);
    expect(permissions.isAllowed(range("g/1"))).toBe(false);
  });
});
