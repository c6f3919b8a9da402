import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StreamTable } from "./stream-table.ts";

describe("StreamTable", () => {
  it("holds what a Map holds, whatever comes and goes", () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ add: fc.integer({ min: 1, max: 400 }) }),
        fc.record({ drop: fc.integer({ min: 1, max: 400 }) }),
      ),
      { maxLength: 2000, size: "max" },
    );
    fc.assert(
      fc.property(steps, (sequence) => {
        const table = new StreamTable<{ id: number }>();
        const map = new Map<number, { id: number }>();
        for (const step of sequence) {
          if ("add" in step) {
            const stream = { id: step.add * 2 + 1 };
            if (map.has(stream.id)) continue;
            map.set(stream.id, stream);
            table.add(stream);
          } else {
            const id = step.drop * 2 + 1;
            expect(table.delete(id)).toBe(map.delete(id));
          }
        }
        expect(table.size).toBe(map.size);
        for (let n = 1; n <= 400; n++) expect(table.get(n * 2 + 1)).toBe(map.get(n * 2 + 1));
        expect(table.snapshot().sort((a, b) => a.id - b.id)).toEqual(
          [...map.values()].sort((a, b) => a.id - b.id),
        );
      }),
      { numRuns: 60 },
    );
  });

  it("drops any of 100,000 streams in next to no time", () => {
    const table = new StreamTable<{ id: number }>();
    for (let id = 1; id < 200_000; id += 2) table.add({ id });
    const started = performance.now();
    for (let id = 1; id < 200_000; id += 2) table.delete(id);
    // A table whose entries lie side by side needs minutes for this.
    expect(performance.now() - started).toBeLessThan(2000);
    expect(table.size).toBe(0);
  });

  it("finds a long-lived stream among a million short ones", () => {
    const table = new StreamTable<{ id: number }>();
    const old = { id: 1 };
    table.add(old);
    for (let id = 3; id < 2_000_000; id += 2) {
      table.add({ id });
      if (id > 203) table.delete(id - 200);
    }
    expect(table.get(1)).toBe(old);
    expect(table.size).toBe(102);
  });
});
