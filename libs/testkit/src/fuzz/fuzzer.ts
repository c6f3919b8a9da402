import { Random } from "../random.ts";
import type { FuzzTarget, Signature } from "./fuzz-target.ts";
import { mutate } from "./mutate.ts";

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

/** How many of 100 new inputs come from the grammar; the others from what is known already. */
const freshPercent = 25;

/** Runs the corpus, then new inputs made from it and from the grammar, until `isOver`. */
export function fuzz(
  target: FuzzTarget,
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
    const signature = target.run(input);
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
        pool.length === 0 || random.chance(freshPercent)
          ? target.generate(random)
          : mutate(random.pick(pool), random.pick(pool), target.pieces ?? [], random);
      run(input, true);
    }
  } catch (error) {
    return { runs, signatures: seen.size, fresh, failure: { input, error } };
  }
  return { runs, signatures: seen.size, fresh };
}
