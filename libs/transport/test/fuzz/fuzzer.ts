import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { generate, mutate } from "./generate.ts";
import { Random } from "./random.ts";
import type { Signature, Target } from "./targets.ts";

/** The kept inputs of a target: one a line, in hex; `#` begins a comment. */
export function corpusFile(target: string): string {
  return join(import.meta.dirname, "corpus", `${target}.hex`);
}

export async function readCorpus(target: string): Promise<Buffer[]> {
  const text = await readFile(corpusFile(target), "utf8");
  return text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "")
    .map((line) => Buffer.from(line, "hex"));
}

/** What a run of the fuzzer came to. */
export interface FuzzResult {
  readonly runs: number;
  /** Kinds of behaviour seen. */
  readonly signatures: number;
  /** Inputs that behaved as none before, the corpus aside. */
  readonly fresh: readonly Buffer[];
  /** The input that failed, and how. */
  readonly failure?: { readonly input: Buffer; readonly error: unknown };
}

/** Runs the corpus, then new inputs made from it and from the grammar, until `isOver`. */
export function fuzz(
  target: Target,
  corpus: readonly Buffer[],
  seed: number,
  isOver: (runs: number) => boolean,
): FuzzResult {
  const random = new Random(seed);
  const seen = new Set<Signature>();
  const pool: Buffer[] = [];
  const fresh: Buffer[] = [];
  let runs = 0;
  const run = (input: Buffer, isFresh: boolean): void => {
    const signature = target(input);
    runs++;
    if (seen.has(signature)) return;
    seen.add(signature);
    pool.push(input);
    if (isFresh) fresh.push(input);
  };
  let input: Buffer = Buffer.alloc(0);
  try {
    for (input of corpus) run(input, false);
    while (!isOver(runs)) {
      input =
        pool.length === 0 || random.chance(25)
          ? generate(random)
          : mutate(random.pick(pool), random.pick(pool), random);
      run(input, true);
    }
  } catch (error) {
    return { runs, signatures: seen.size, fresh, failure: { input, error } };
  }
  return { runs, signatures: seen.size, fresh };
}
