import { stdout } from "node:process";
import { parseArgs } from "node:util";
import { growCorpus, readCorpus } from "./corpus.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { type FuzzResult, fuzz } from "./fuzzer.ts";

const turnMs = 1_000;
/** New kinds of behaviour that a turn hands on to the next. */
const handedOn = 20;

/**
 * The `main` of a package's fuzzers: `--seconds 60`, `--target name`, `--seed 1`, `--keep`. Fuzzes each target in turns of
 * a second. A failing input is added to the corpus and makes the exit code 1; with `--keep` inputs that showed a new kind of
 * behaviour are added as well.
 */
export async function runFuzzCommand(
  targets: Readonly<Record<string, FuzzTarget>>,
  corpusFolder: string,
): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      target: { type: "string" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      keep: { type: "boolean", default: false },
    },
  });
  const chosen = Object.entries(targets).filter(
    ([name]) => values.target === undefined || name === values.target,
  );
  const end = performance.now() + Number(values.seconds) * 1000;
  const totals = new Map(chosen.map(([name]) => [name, { runs: 0, signatures: 0, fresh: [] as Buffer[] }]));
  for (let seed = Number(values.seed); performance.now() < end && process.exitCode === undefined; seed++) {
    for (const [name, target] of chosen) {
      const total = totals.get(name);
      if (total === undefined) continue;
      const turnEnd = performance.now() + turnMs;
      const corpus = [...(await readCorpus(corpusFolder, name)), ...total.fresh];
      const result = fuzz(target, corpus, seed, () => performance.now() > turnEnd);
      total.runs += result.runs;
      total.signatures = Math.max(total.signatures, result.signatures);
      const fresh = result.fresh.slice(0, handedOn);
      if (!values.keep) total.fresh.push(...fresh);
      await keep(corpusFolder, name, seed, result, values.keep ? fresh : []);
      // What closes in later turns of the loop may do so.
      await new Promise(setImmediate);
    }
  }
  for (const [name, { runs, signatures }] of totals) {
    stdout.write(`${name}: ${runs} inputs, ${signatures} kinds of behaviour at most in a turn\n`);
  }
}

async function keep(
  folder: string,
  name: string,
  seed: number,
  { failure }: FuzzResult,
  fresh: readonly Buffer[],
): Promise<void> {
  const lines = fresh.map((input) => input.toString("hex"));
  if (failure !== undefined) {
    const { input, error } = failure;
    const text = String(error).split("\n")[0] ?? "";
    stdout.write(`${name} FAILED (seed ${seed}): ${text}\n${input.toString("hex")}\n`);
    lines.push(`# ${text}`, input.toString("hex"));
    process.exitCode = 1;
  }
  if (lines.length > 0) await growCorpus(folder, name, lines);
}
