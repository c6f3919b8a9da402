import { appendFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The kept inputs of a target: `<folder>/<target>.hex`, one a line, in hex; `#` begins a comment. None is fine. */
export async function readCorpus(folder: string, target: string): Promise<Buffer[]> {
  const text = await readFile(join(folder, `${target}.hex`), "utf8").catch(() => "");
  return text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "")
    .map((line) => Buffer.from(line, "hex"));
}

/** Adds lines, of inputs or of comments. */
export async function growCorpus(folder: string, target: string, lines: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await appendFile(join(folder, `${target}.hex`), `${lines.join("\n")}\n`);
}
