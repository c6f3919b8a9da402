import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hasKey, type KeyRange, rangeId, toKeyRange } from "./key-range.ts";
import { RangeIndex } from "./range-index.ts";

const anyKey = fc
  .array(fc.constantFrom(0, 1, 97, 254, 255), { minLength: 1, maxLength: 3 })
  .map((list) => Uint8Array.from(list));
const anyRange = fc
  .tuple(anyKey, fc.option(anyKey, { nil: new Uint8Array(0) }))
  .map(([key, rangeEnd]) => toKeyRange({ key, rangeEnd }))
  .filter((range): range is KeyRange => range !== undefined);
const step = fc.record({ range: anyRange, isDelete: fc.boolean() });

describe("RangeIndex", () => {
  it("finds what a look at every range finds, whatever came and went", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.array(anyKey, { maxLength: 10 }), (steps, keys) => {
        const index = new RangeIndex<string>();
        const plain = new Map<string, KeyRange>();
        for (const { range, isDelete } of steps) {
          if (isDelete) {
            index.delete(range);
            plain.delete(rangeId(range));
          } else {
            index.set(range, rangeId(range));
            plain.set(rangeId(range), range);
          }
          for (const key of keys) {
            const found: string[] = [];
            index.find(key, (id) => found.push(id));
            const expected = [...plain].filter(([, one]) => hasKey(one, key)).map(([id]) => id);
            expect(found.sort()).toEqual(expected.sort());
          }
        }
        expect(index.size).toBe(plain.size);
        expect([...index.values()].sort()).toEqual([...plain.keys()].sort());
      }),
    );
  });

  it("gives the value of an equal range, and of no other", () => {
    const index = new RangeIndex<number>();
    index.set({ t: "from", key: Uint8Array.of(1) }, 7);
    expect(index.get({ t: "from", key: Uint8Array.of(1) })).toBe(7);
    expect(index.get({ t: "from", key: Uint8Array.of(2) })).toBeUndefined();
  });
});
