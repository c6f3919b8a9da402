import { formatGoDuration, parseGoDuration } from "./go-duration.ts";
import { intKind, parseGoBool, parseGoInteger, parseGoList, uint32Kind, uintKind } from "./go-values.ts";

/** The kinds of pflag that etcd's front ends use, with what each becomes in a config object. */
interface ValueOfKind {
  string: string;
  bool: boolean;
  int: number;
  uint: number;
  uint32: number;
  /** Milliseconds. */
  duration: number;
  strings: readonly string[];
}

export type OptionKind = keyof ValueOfKind;

/** One row of an app's option table. `--help`, parsing, the environment names and README tables all come from it. */
export interface OptionSpec<K extends OptionKind = OptionKind> {
  readonly kind: K;
  /** Without the dashes. The environment variable follows from it: `listen-addr` is `EDGE_LISTEN_ADDR`. */
  readonly flag: string;
  readonly default: ValueOfKind[K];
  /** One sentence for `--help` and the README. Where the flag is etcd's, the text etcd prints. */
  readonly doc: string;
  /** The first etcd release with this flag, or "edge" where it is ours. */
  readonly since: string;
  /** Says what is wrong with a value that parses, or nothing. The message names the flag and the limit. */
  readonly check?: (value: ValueOfKind[K]) => string | undefined;
}

/** Every row of a table, by the name that the config object gives it. */
export type OptionTable = Readonly<Record<string, AnyOption>>;

export type AnyOption = { [K in OptionKind]: OptionSpec<K> }[OptionKind];

/** The config object of a table. */
export type OptionValues<T extends OptionTable> = {
  readonly [N in keyof T]: T[N] extends OptionSpec<infer K> ? ValueOfKind[K] : never;
};

type Row<K extends OptionKind> = Omit<OptionSpec<K>, "kind">;

export const stringOption = (row: Row<"string">): OptionSpec<"string"> => ({ kind: "string", ...row });
export const boolOption = (row: Row<"bool">): OptionSpec<"bool"> => ({ kind: "bool", ...row });
export const intOption = (row: Row<"int">): OptionSpec<"int"> => ({ kind: "int", ...row });
export const uintOption = (row: Row<"uint">): OptionSpec<"uint"> => ({ kind: "uint", ...row });
export const uint32Option = (row: Row<"uint32">): OptionSpec<"uint32"> => ({ kind: "uint32", ...row });
export const durationOption = (row: Row<"duration">): OptionSpec<"duration"> => ({
  kind: "duration",
  ...row,
});
export const stringsOption = (row: Row<"strings">): OptionSpec<"strings"> => ({ kind: "strings", ...row });

/** The environment variable of a flag: `EDGE_` and the flag in capitals. Never `ETCD_*`: those are the server's. */
export function toEnvironmentName(flag: string): string {
  return `EDGE_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** @throws Error with Go's sentence for a text that is no value of this kind */
export function parseOptionValue(kind: OptionKind, text: string): ValueOfKind[OptionKind] {
  switch (kind) {
    case "string":
      return text;
    case "bool":
      return parseGoBool(text);
    case "int":
      return parseGoInteger(text, intKind);
    case "uint":
      return parseGoInteger(text, uintKind);
    case "uint32":
      return parseGoInteger(text, uint32Kind);
    case "duration":
      return parseGoDuration(text);
    case "strings":
      return parseGoList(text);
    default:
      return kind satisfies never;
  }
}

/** The default as pflag prints it behind a flag's text, or nothing where it is the zero value of its kind. */
export function describeDefault(option: AnyOption): string | undefined {
  switch (option.kind) {
    case "string":
      return option.default === "" ? undefined : JSON.stringify(option.default);
    case "bool":
      return option.default ? "true" : undefined;
    case "int":
    case "uint":
    case "uint32":
      return option.default === 0 ? undefined : String(option.default);
    case "duration":
      return option.default === 0 ? undefined : formatGoDuration(option.default);
    case "strings":
      return option.default.length === 0 ? undefined : `[${option.default.join(",")}]`;
    default:
      return option satisfies never;
  }
}
