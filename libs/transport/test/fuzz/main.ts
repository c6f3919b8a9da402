import type { Buffer } from "node:buffer";
import { appendFile } from "node:fs/promises";
import { stdout } from "node:process";
import { parseArgs } from "node:util";
import { corpusFile, type FuzzResult, fuzz, readCorpus } from "./fuzzer.ts";
import { targets } from "./targets.ts";

/*
 * `npm run fuzz -- --seconds 600 [--target server] [--seed 1] [--keep]`
 * Fuzzes each target in turns of a second. A failing input is added to the corpus, and with --keep also those that
 * showed a new kind of behaviour.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    target: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    keep: { type: "boolean", default: false },
  },
});

const names = Object.keys(targets).filter((name) => values.target === undefined || name === values.target);
const end = performance.now() + Number(values.seconds) * 1000;
const totals: Record<string, { runs: number; fresh: Buffer[]; signatures: number }> = {};
let seed = Number(values.seed);
stdout.write(`seed ${seed}\n`);

while (performance.now() < end && process.exitCode === undefined) {
  for (const name of names) await turn(name);
  seed++;
  // Connections destroy their sockets in later turns of the loop: let them.
  await new Promise(setImmediate);
}
for (const [name, { runs, signatures, fresh }] of Object.entries(totals)) {
  stdout.write(
    `${name}: ${runs} inputs, ${signatures} kinds of behaviour at most in a turn, ${fresh.length} new\n`,
  );
}

async function turn(name: string): Promise<void> {
  const target = targets[name];
  if (target === undefined) return;
  const total = totals[name] ?? { runs: 0, fresh: [], signatures: 0 };
  totals[name] = total;
  const turnEnd = performance.now() + 1000;
  const corpus = [...(await readCorpus(name)), ...total.fresh];
  const result = fuzz(target, corpus, seed, () => performance.now() > turnEnd);
  total.runs += result.runs;
  total.signatures = Math.max(total.signatures, result.signatures);
  total.fresh.push(...result.fresh.slice(0, 20));
  await keep(name, result);
}

async function keep(name: string, result: FuzzResult): Promise<void> {
  const lines = values.keep ? result.fresh.slice(0, 20).map((input) => input.toString("hex")) : [];
  if (result.failure !== undefined) {
    const { input, error } = result.failure;
    stdout.write(`${name} FAILED (seed ${seed}): ${String(error)}\n${input.toString("hex")}\n`);
    lines.push(`# ${String(error).split("\n")[0]}`, input.toString("hex"));
    process.exitCode = 1;
  }
  if (lines.length > 0) await appendFile(corpusFile(name), `${lines.join("\n")}\n`);
}
