import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { History } from "../history/history.ts";
import type { Stack } from "../stack/start-stack.ts";
import type { Violation } from "../validators/violation.ts";
import { renderSvg } from "./render-svg.ts";
import type { RunReport } from "./run-report.ts";

/** How many violations of one promise get files of their own. */
const kept = 3;

/** Writes what shows violations: the smallest history as text, and a picture; some of each promise. */
export class ViolationFiles {
  readonly #folder: string;
  readonly #counts = new Map<string, number>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Removes what an earlier run has left. */
  async prepare(): Promise<void> {
    await rm(join(this.#folder, "violations"), { recursive: true, force: true });
    await mkdir(join(this.#folder, "violations"), { recursive: true });
  }

  async add(history: History, violations: readonly Violation[]): Promise<void> {
    for (const violation of violations) {
      const number = (this.#counts.get(violation.promise) ?? 0) + 1;
      if (number > kept) continue;
      this.#counts.set(violation.promise, number);
      const path = join(this.#folder, "violations", `${violation.promise.replaceAll(" ", "-")}-${number}`);
      await writeFile(`${path}.txt`, `${[violation.text, ...violation.evidence].join("\n")}\n`);
      await writeFile(`${path}.svg`, renderSvg(history, violation));
    }
  }
}

/** `report.json`: everything that the text says, and every violation. 64-bit numbers are strings. */
export async function writeReport(folder: string, report: RunReport): Promise<void> {
  await mkdir(folder, { recursive: true });
  const json = JSON.stringify(report, (_, value) => (typeof value === "bigint" ? String(value) : value), 2);
  await writeFile(join(folder, "report.json"), `${json}\n`);
}

/** What the processes of a stack have said lately, each into a file of its own beside the violations. */
export async function writeLogs(folder: string, when: string, stack: Stack): Promise<void> {
  const parts = [stack.nats?.server, stack.redis?.server].filter((unit) => unit !== undefined);
  for (const unit of [...stack.members, ...stack.tiers.flat(), ...stack.http, ...parts]) {
    const name = `${when}-${unit.name.replaceAll(" ", "-")}.log`;
    await writeFile(join(folder, "violations", name), `${unit.output()}\n`);
  }
}
