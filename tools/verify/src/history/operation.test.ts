import { describe, expect, it } from "vitest";
import { type Action, ofQuorum, withoutReadsBesideWrites } from "./operation.ts";
import { getAction, putAction } from "./sample-history.ts";
import { spanWithin } from "./stored.ts";

const get = { t: "range", span: { key: "a" }, serializable: true } as const;
const put = { t: "put", key: "a", value: "1", lease: 0n } as const;
const txn = (success: (typeof get | typeof put)[], failure = [get]): Action => ({
  t: "txn",
  compares: [],
  success,
  failure,
});

describe("actions", () => {
  it("are asked of a quorum, wherever they read", () => {
    expect(ofQuorum(getAction("a", true, 5n))).toEqual(getAction("a", false, 5n));
    expect(ofQuorum(putAction("a", "1"))).toEqual(putAction("a", "1"));
    const strict = { ...get, serializable: false };
    expect(ofQuorum(txn([put, get]))).toEqual({ ...txn([]), success: [put, strict], failure: [strict] });
  });

  it("carry no reads beside writes; what only reads is left alone", () => {
    expect(withoutReadsBesideWrites(txn([put, get]))).toEqual({ ...txn([put]), failure: [] });
    expect(withoutReadsBesideWrites(txn([get]))).toEqual(txn([get]));
    expect(withoutReadsBesideWrites(get)).toEqual(get);
  });
});

describe("a span within another", () => {
  it.each([
    [{ key: "a" }, { key: "a" }, true],
    [{ key: "a" }, { key: "a", end: "b" }, true],
    [{ key: "b" }, { key: "a", end: "b" }, false],
    [{ key: "a", end: "b" }, { key: "a", end: "b" }, true],
    [{ key: "a", end: "c" }, { key: "a", end: "b" }, false],
    [{ key: "a", end: "b" }, { key: "a" }, false],
    [{ key: "a", end: "a\0" }, { key: "a" }, true],
  ])("%j in %j: %s", (inner, outer, expected) => {
    expect(spanWithin(inner, outer)).toBe(expected);
  });
});
