import { describe, expect, it } from "vitest";
import { readCorpus } from "./corpus.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { fuzz } from "./fuzzer.ts";

/** New inputs in a test run; `npm run fuzz` goes on for as long as it is told. */
const newInputs = 1_500;
const seed = 20_261_123;

/**
 * Declares the tests of a package's fuzzers: the corpus, and some new inputs made from it.
 *
 * @param kinds of behaviour that must be seen: fewer would mean that the inputs no longer get past the door
 */
export function describeFuzzing(
  targets: Readonly<Record<string, FuzzTarget>>,
  corpusFolder: string,
  kinds: Readonly<Record<string, number>>,
): void {
  describe("fuzzing", () => {
    it.each(Object.entries(targets))(
      "%s survives the corpus and new inputs made from it",
      async (name, target) => {
        const corpus = await readCorpus(corpusFolder, name);
        const result = fuzz(target, corpus, seed, (runs) => runs >= corpus.length + newInputs);
        const { failure } = result;
        expect(
          failure === undefined ? undefined : `${failure.error}: ${failure.input.toString("hex")}`,
        ).toBeUndefined();
        expect(result.runs).toBe(corpus.length + newInputs);
        expect(result.signatures).toBeGreaterThanOrEqual(kinds[name] ?? 2);
      },
    );
  });
}
