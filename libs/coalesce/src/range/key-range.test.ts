import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes } from "./bytes.ts";
import {
  contains,
  hasKey,
  isSameRange,
  type KeyRange,
  overlaps,
  rangeId,
  toKeyRange,
  toRangeFields,
} from "./key-range.ts";

const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const range = (key: string, rangeEnd = "") => toKeyRange({ key: bytes(key), rangeEnd: bytes(rangeEnd) });

// A small alphabet with both ends of it, so that neighbours and equals come up.
const anyKey = fc
  .array(fc.constantFrom(0, 1, 97, 254, 255), { maxLength: 3 })
  .map((list) => Uint8Array.from(list));

/** What etcd does with the two fields, said as plainly as can be. */
function etcdHas(key: Uint8Array, rangeEnd: Uint8Array, probe: Uint8Array): boolean {
  const first = key.length === 0 ? bytes("\0") : key;
  if (rangeEnd.length === 0) return compareBytes(first, probe) === 0;
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return compareBytes(first, probe) <= 0;
  return compareBytes(first, probe) <= 0 && compareBytes(probe, rangeEnd) < 0;
}

const anyRange = fc
  .array(anyKey, { minLength: 2, maxLength: 2 })
  .map(([key, rangeEnd]) => toKeyRange({ key: key ?? bytes(""), rangeEnd: rangeEnd ?? bytes("") }))
  .filter((one): one is KeyRange => one !== undefined);

describe("toKeyRange", () => {
  it.each([
    ["a key", range("k"), { t: "point", key: bytes("k") }],
    ["an empty key", range(""), { t: "point", key: bytes("\0") }],
    ["a span of one key", range("k", "k\0"), { t: "point", key: bytes("k") }],
    ["a prefix", range("a", "b"), { t: "span", key: bytes("a"), end: bytes("b") }],
    ["all from a key", range("a", "\0"), { t: "from", key: bytes("a") }],
    ["everything", range("\0", "\0"), { t: "everything" }],
    ["everything from the empty key", range("", "\0"), { t: "everything" }],
    ["an end at the key", range("a", "a"), undefined],
    ["an end below the key", range("b", "a"), undefined],
    ["an end at the smallest key", range("", "\0\0"), { t: "point", key: bytes("\0") }],
  ])("reads %s", (_name, actual, expected) => {
    expect(actual).toEqual(expected);
  });

  it("holds exactly the keys etcd would find", () => {
    fc.assert(
      fc.property(anyKey, anyKey, anyKey, (key, rangeEnd, probe) => {
        if (probe.length === 0) return; // no key of etcd's
        const parsed = toKeyRange({ key, rangeEnd });
        expect(parsed !== undefined && hasKey(parsed, probe)).toBe(etcdHas(key, rangeEnd, probe));
      }),
    );
  });

  it("asks for what it read", () => {
    fc.assert(
      fc.property(anyRange, (one) => {
        expect(toKeyRange(toRangeFields(one))).toEqual(one);
      }),
    );
  });
});

describe("the algebra of ranges", () => {
  const keys: Uint8Array[] = [];
  const letters = [0, 1, 97, 254, 255];
  for (const a of letters) {
    keys.push(Uint8Array.of(a));
    for (const b of letters) {
      keys.push(Uint8Array.of(a, b));
      for (const c of letters) keys.push(Uint8Array.of(a, b, c));
    }
  }

  it("contains what has no key outside", () => {
    fc.assert(
      fc.property(anyRange, anyRange, anyKey, (outer, inner, probe) => {
        if (contains(outer, inner)) {
          expect(hasKey(inner, probe) && probe.length > 0 && !hasKey(outer, probe)).toBe(false);
        } else {
          // Bounds are at most three letters long: one of these keys, or one right after an end, is the witness.
          const witnesses = [...keys, ...keys.map((key) => Uint8Array.of(...key, 0))];
          expect(witnesses.some((key) => hasKey(inner, key) && !hasKey(outer, key))).toBe(true);
        }
      }),
    );
  });

  it("overlaps where a key is in both", () => {
    fc.assert(
      fc.property(anyRange, anyRange, (a, b) => {
        const witnesses = [...keys, ...keys.map((key) => Uint8Array.of(...key, 0))];
        expect(overlaps(a, b)).toBe(witnesses.some((key) => hasKey(a, key) && hasKey(b, key)));
      }),
    );
  });

  it("has one id for one set of keys", () => {
    fc.assert(
      fc.property(anyRange, anyRange, (a, b) => {
        expect(rangeId(a) === rangeId(b)).toBe(isSameRange(a, b));
      }),
    );
  });

  it("keeps byte strings apart that look alike in its id", () => {
    expect(rangeId({ t: "span", key: bytes("1,a"), end: bytes("b") })).not.toBe(
      rangeId({ t: "span", key: bytes("1"), end: bytes(",ab") }),
    );
  });
});

describe("compareBytes", () => {
  it("orders as etcd does", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) => {
        const hex = (one: Uint8Array) => [...one].map((byte) => byte.toString(16).padStart(2, "0")).join("");
        expect(Math.sign(compareBytes(a, b))).toBe(hex(a) < hex(b) ? -1 : hex(a) > hex(b) ? 1 : 0);
      }),
    );
  });
});
