import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Picker, type Standing } from "./picker.ts";

type Candidate = { name: string; priority: number; weight: number };

/** mulberry32: small, seeded, uniform enough for shares. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** "a:p0w10 b:p0w10" */
function candidates(text: string): Candidate[] {
  return text.split(" ").map((part) => {
    const [, name = "", priority, weight] = /^(\w+):p(\d+)w(\d+)$/.exec(part) ?? [];
    return { name, priority: Number(priority), weight: Number(weight) };
  });
}

const picks = 100_000;

function shares(
  list: Candidate[],
  standingOf: (candidate: Candidate) => Standing = () => "good",
): Record<string, number> {
  const picker = new Picker(seeded(42));
  const counts: Record<string, number> = Object.fromEntries(list.map(({ name }) => [name, 0]));
  for (let n = 0; n < picks; n += 1) {
    const name = picker.pick(list, standingOf)?.name;
    if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

describe("Picker", () => {
  // The rows of the table on which etcd's gateway goes wrong, and what RFC 2782 says they are.
  it.each([
    ["a:p0w1 b:p0w1", { a: 0.5, b: 0.5 }],
    ["a:p0w1 b:p0w1 c:p0w1", { a: 1 / 3, b: 1 / 3, c: 1 / 3 }],
    ["a:p0w10 b:p0w10", { a: 0.5, b: 0.5 }],
    ["a:p0w9 b:p0w1", { a: 0.9, b: 0.1 }],
    ["a:p0w1 b:p0w9", { a: 0.1, b: 0.9 }],
    ["a:p0w100 b:p0w0", { a: 100 / 101, b: 1 / 101 }],
    ["a:p0w60 b:p0w20 c:p0w10 d:p0w10", { a: 0.6, b: 0.2, c: 0.1, d: 0.1 }],
    ["a:p1w0 b:p2w0 c:p3w0", { a: 1, b: 0, c: 0 }],
    ["a:p10w0 b:p10w0 c:p20w0", { a: 0.5, b: 0.5, c: 0 }],
    ["a:p2w5 b:p1w5", { a: 0, b: 1 }],
    ["a:p65535w1", { a: 1 }],
  ])("shares %s as RFC 2782 says", (text, expected) => {
    const counts = shares(candidates(text));
    for (const [name, share] of Object.entries(expected)) {
      const sigma = Math.sqrt(picks * share * (1 - share));
      expect(Math.abs((counts[name] ?? 0) - picks * share), name).toBeLessThanOrEqual(5 * sigma + 1);
    }
  });

  it("shares any weights in proportion", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(weights, (list) => {
        const total = list.reduce((sum, weight) => sum + weight, 0);
        const counts = shares(list.map((weight, n) => ({ name: `n${n}`, priority: 0, weight })));
        for (const [n, weight] of list.entries()) {
          const share = weight / total;
          const sigma = Math.sqrt(picks * share * (1 - share));
          expect(Math.abs((counts[`n${n}`] ?? 0) - picks * share)).toBeLessThanOrEqual(6 * sigma + 1);
        }
      }),
      { numRuns: 10, seed: 7 },
    );
  });

  it("goes round in turn when all weights are equal", () => {
    const picker = new Picker();
    const list = candidates("a:p0w7 b:p0w7 c:p0w7");
    const seen = Array.from({ length: 6 }, () => picker.pick(list, () => "good")?.name);
    expect(new Set(seen.slice(0, 3))).toEqual(new Set(["a", "b", "c"]));
    expect(seen.slice(3)).toEqual(seen.slice(0, 3));
  });

  it("prefers a good endpoint of a worse priority to a doubtful one of a better", () => {
    const list = candidates("a:p0w1 b:p9w1");
    const picker = new Picker();
    expect(picker.pick(list, ({ name }) => (name === "a" ? "doubtful" : "good"))?.name).toBe("b");
    expect(picker.pick(list, ({ name }) => (name === "a" ? "doubtful" : "bad"))?.name).toBe("a");
  });

  it("picks nobody when all are bad or there is nobody", () => {
    const picker = new Picker();
    expect(picker.pick(candidates("a:p0w1"), () => "bad")).toBeUndefined();
    expect(picker.pick<Candidate>([], () => "good")).toBeUndefined();
  });

  it("never picks a bad one, always picks when somebody is usable", () => {
    const standing = fc.constantFrom<Standing>("good", "doubtful", "bad");
    const candidate = fc.record({ priority: fc.nat(3), weight: fc.nat(3), standing });
    fc.assert(
      fc.property(fc.array(candidate), fc.integer(), (list, seed) => {
        const picked = new Picker(seeded(seed)).pick(list, (one) => one.standing);
        const good = list.filter((one) => one.standing === "good");
        const usable = good.length > 0 ? good : list.filter((one) => one.standing === "doubtful");
        if (picked === undefined) expect(usable).toEqual([]);
        else expect(Math.min(...usable.map(({ priority }) => priority))).toBe(picked.priority);
      }),
    );
  });
});
