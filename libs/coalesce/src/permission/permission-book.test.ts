import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/fake-clock.ts";
import type { KeyRange } from "../range/key-range.ts";
import { ProbeError } from "../watch/probe-flight.ts";
import { PermissionBook } from "./permission-book.ts";

const point = (key: string): KeyRange => ({
  t: "point",
  key: Uint8Array.from(key, (letter) => letter.charCodeAt(0)),
});
const denied = new ProbeError(7, "etcdserver: permission denied");

function createBook() {
  const clock = new FakeClock();
  const asked: string[] = [];
  const refused = new Set<string>();
  const book = new PermissionBook({
    clock,
    rememberMs: 5_000,
    ask: (range) => {
      const key = range.t === "point" ? String.fromCharCode(...range.key) : range.t;
      asked.push(key);
      return refused.has(key) ? Promise.reject(denied) : Promise.resolve();
    },
  });
  return { book, clock, asked, refused };
}

describe("rule 18: what a credential may read", () => {
  it("is remembered by range, no longer than it may be", async () => {
    const { book, clock, asked } = createBook();
    await book.decide(point("a"));
    await clock.advance(4_999);
    await book.decide(point("a"));
    await book.decide(point("b"));
    expect(asked).toEqual(["a", "b"]);
    await clock.advance(1);
    expect(book.isAllowed(point("a"))).toBe(false);
    await book.decide(point("a"));
    expect(asked).toEqual(["a", "b", "a"]);
  });

  it("is not remembered where it was refused", async () => {
    const { book, asked, refused } = createBook();
    refused.add("a");
    await expect(book.decide(point("a"))).rejects.toBe(denied);
    refused.clear();
    await book.decide(point("a"));
    expect(asked).toEqual(["a", "a"]);
  });

  it("is forgotten when users or roles change", async () => {
    const { book } = createBook();
    await book.decide(point("a"));
    await book.decide(point("b"));
    book.forget(point("a"));
    expect([book.isAllowed(point("a")), book.isAllowed(point("b"))]).toEqual([false, true]);
    book.forget();
    expect(book.isAllowed(point("b"))).toBe(false);
  });

  it("counts from when it was asked, not from the answer", async () => {
    const { book, clock } = createBook();
    const askedAt = clock.nowMs();
    await clock.advance(3_000);
    book.note(point("a"), askedAt);
    await clock.advance(2_000);
    expect(book.isAllowed(point("a"))).toBe(false);
  });
});
