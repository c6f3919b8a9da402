import {
  type AnyOption,
  type OptionTable,
  type OptionValues,
  parseOptionValue,
  toEnvironmentName,
} from "./option.ts";

/** What a command line asks for. Problems are collected: the user sees all of them at once. */
export type ParsedOptions<T extends OptionTable> =
  | { readonly t: "help" }
  | { readonly t: "version" }
  | { readonly t: "problems"; readonly problems: readonly string[] }
  | { readonly t: "values"; readonly values: OptionValues<T>; readonly positional: readonly string[] };

/**
 * Reads a command line in the syntax of spf13/pflag, as etcd's commands do: `--flag=value`, `--flag value`, `--bool`,
 * `--bool=false`, `--` ends the flags, words between flags are positional. A bare bool never takes the next word; a
 * list repeats and splits on commas. Flag wins over environment wins over default.
 */
export function parseOptions<T extends OptionTable>(
  table: T,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedOptions<T> {
  const problems: string[] = [];
  const positional: string[] = [];
  const byFlag = new Map<string, string>();
  for (const [name, option] of Object.entries(table)) byFlag.set(option.flag, name);
  const values: Record<string, unknown> = {};
  readEnvironment(table, env, values, problems);

  const setByFlag = new Set<string>();
  const words = argv.values();
  for (const word of words) {
    if (word === "--") {
      positional.push(...words);
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      positional.push(word);
      continue;
    }
    if (!word.startsWith("--")) {
      if (word.startsWith("-h")) return { t: "help" };
      problems.push(`unknown shorthand flag: '${word[1]}' in ${word}`);
      continue;
    }
    if (word[2] === "-" || word[2] === "=") {
      problems.push(`bad flag syntax: ${word}`);
      continue;
    }
    const equals = word.indexOf("=");
    const flag = equals === -1 ? word.slice(2) : word.slice(2, equals);
    if (flag === "help") return { t: "help" };
    if (flag === "version") return { t: "version" };
    const name = byFlag.get(flag);
    const option = name === undefined ? undefined : table[name];
    if (name === undefined || option === undefined) {
      problems.push(`unknown flag: --${flag}`);
      continue;
    }
    let text: string;
    if (equals !== -1) text = word.slice(equals + 1);
    else if (option.kind === "bool") text = "true";
    else {
      const next = words.next();
      if (next.done) {
        problems.push(`flag needs an argument: --${flag}`);
        continue;
      }
      text = next.value;
    }
    try {
      const value = parseOptionValue(option.kind, text);
      const before = setByFlag.has(name) ? values[name] : undefined;
      values[name] = Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value;
      setByFlag.add(name);
    } catch (error) {
      problems.push(`invalid argument ${JSON.stringify(text)} for "--${flag}" flag: ${messageOf(error)}`);
    }
  }

  for (const [name, option] of Object.entries(table)) {
    if (!(name in values)) values[name] = option.default;
    const problem = checkValue(option, values[name]);
    if (problem !== undefined) problems.push(problem);
  }
  if (problems.length > 0) return { t: "problems", problems };
  // Every name of the table was filled above with a value of its kind.
  return { t: "values", values: values as OptionValues<T>, positional };
}

function readEnvironment(
  table: OptionTable,
  env: Readonly<Record<string, string | undefined>>,
  values: Record<string, unknown>,
  problems: string[],
): void {
  for (const [name, option] of Object.entries(table)) {
    const variable = toEnvironmentName(option.flag);
    const text = env[variable];
    if (text === undefined) continue;
    try {
      values[name] = parseOptionValue(option.kind, text);
    } catch (error) {
      problems.push(
        `invalid value ${JSON.stringify(text)} of environment variable ${variable}: ${messageOf(error)}`,
      );
    }
  }
}

function checkValue(option: AnyOption, value: unknown): string | undefined {
  // The value was made by parseOptionValue for this very kind, or is the table's own default.
  const check = option.check as ((value: unknown) => string | undefined) | undefined;
  return check?.(value);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
