import { describe, expect, it } from "vitest";
import { fuzz, readCorpus } from "./fuzz/fuzzer.ts";
import { targets } from "./fuzz/targets.ts";

/** New inputs in a test run; `npm run fuzz` goes on for as long as it is told. */
const NEW_INPUTS = 3000;

describe("fuzzing", () => {
  it.each(Object.entries(targets))(
    "the %s survives the corpus and new inputs made from it",
    async (name, target) => {
      const corpus = await readCorpus(name);
      const result = fuzz(target, corpus, 20_261_123, (runs) => runs >= corpus.length + NEW_INPUTS);
      expect(result.failure?.error).toBeUndefined();
      expect(result.runs).toBe(corpus.length + NEW_INPUTS);
      // Less would mean that the inputs no longer get past the door.
      expect(result.signatures).toBeGreaterThan(100);
    },
  );
});
