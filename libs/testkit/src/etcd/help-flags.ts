import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** One flag as a `--help` in pflag's layout lists it. */
export interface HelpFlag {
  readonly flag: string;
  /** `string`, `duration`, … or `bool` where no type is printed. */
  readonly type: string;
  /** Text and default together: what stands behind the columns. */
  readonly text: string;
}

/** Runs a command with `--help` and reads its flags, by name. */
export async function readHelpFlags(
  program: string,
  args: readonly string[],
): Promise<Map<string, HelpFlag>> {
  const { stdout } = await execute(program, [...args, "--help"]);
  return parseHelpFlags(stdout);
}

/** Reads the flags out of the text of a `--help`. */
export function parseHelpFlags(help: string): Map<string, HelpFlag> {
  const flags = new Map<string, HelpFlag>();
  for (const line of help.split("\n")) {
    const row = /^\s+(?:-\w, )?--([\w-]+)(?: (\w+))?\s{3,}(.*)$/.exec(line);
    if (row?.[1] === undefined) continue;
    flags.set(row[1], { flag: row[1], type: row[2] ?? "bool", text: row[3] ?? "" });
  }
  return flags;
}
