import { renderFlags, renderOptionsMarkdown } from "./options/help.ts";
import type { OptionTable, OptionValues } from "./options/option.ts";
import { parseOptions } from "./options/parse-options.ts";
import { version } from "./version.ts";

/** A tier as a command: `etcd-edge <name> start [flags]`, in the layout of etcd's own commands. */
export interface Command<T extends OptionTable> {
  readonly name: string;
  /** First line of `etcd-edge <name>`. */
  readonly summary: string;
  /** First line of `etcd-edge <name> start --help`. */
  readonly startSummary: string;
  readonly options: T;
}

/** What a command line came to: run with these values, or print this text and exit. */
export type CommandLine<T extends OptionTable> =
  | { readonly t: "run"; readonly config: OptionValues<T> }
  | {
      readonly t: "print";
      readonly text: string;
      readonly stream: "stdout" | "stderr";
      readonly exitCode: number;
    };

/**
 * Reads the words behind the program's name. Flags may stand before or after `start`. Help goes to standard output with
 * status 0, also where the sub-command is missing or unknown; problems go to standard error with status 1, each
 * once above the usage and once below, as spf13/cobra prints them for etcd.
 */
export function parseCommandLine<T extends OptionTable>(
  command: Command<T>,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): CommandLine<T> {
  const parsed = parseOptions(command.options, argv, env);
  switch (parsed.t) {
    case "version":
      return { t: "print", stream: "stdout", exitCode: 0, text: `etcd-edge ${command.name} ${version}\n` };
    case "help": {
      const text = argv.includes("start") ? startHelp(command, env) : groupHelp(command);
      return { t: "print", stream: "stdout", exitCode: 0, text };
    }
    case "problems": {
      const errors = parsed.problems.map((problem) => `Error: ${problem}\n`).join("");
      const text = `${errors}${usage(command)}\n\n${parsed.problems.join("\n")}`;
      return { t: "print", stream: "stderr", exitCode: 1, text };
    }
    case "values":
      if (parsed.positional[0] === "start") return { t: "run", config: parsed.values };
      return { t: "print", stream: "stdout", exitCode: 0, text: groupHelp(command) };
    default:
      return parsed satisfies never;
  }
}

function startHelp(command: Command<OptionTable>, env: Readonly<Record<string, string | undefined>>): string {
  // For tools that write READMEs: the same table in another dress.
  if (env["EDGE_HELP_FORMAT"] === "markdown") return `${renderOptionsMarkdown(command.options)}\n`;
  return `${command.startSummary}\n\n${usage(command)}\n`;
}

function usage(command: Command<OptionTable>): string {
  return `Usage:\n  etcd-edge ${command.name} start [flags]\n\nFlags:\n${renderFlags(command.options, "start")}`;
}

function groupHelp(command: Command<OptionTable>): string {
  return [
    command.summary,
    "",
    "Usage:",
    `  etcd-edge ${command.name} [command]`,
    "",
    "Available Commands:",
    `  start       ${command.startSummary}`,
    "",
    "Flags:",
    renderFlags({}, command.name),
    "",
    `Use "etcd-edge ${command.name} [command] --help" for more information about a command.`,
    "",
  ].join("\n");
}
