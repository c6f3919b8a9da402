import { describeDefault, type OptionTable, toEnvironmentName } from "./option.ts";

interface HelpRow {
  readonly left: string;
  readonly right: string;
}

/**
 * The flags as pflag lists them: sorted by name, `--flag type` in one column, the text and a non-zero default in the
 * next. Ends without a newline.
 */
export function renderFlags(options: OptionTable, commandName: string): string {
  const rows = new Map<string, HelpRow>();
  for (const option of Object.values(options)) {
    const type = option.kind === "bool" ? "" : ` ${option.kind}`;
    const shown = describeDefault(option);
    const right = shown === undefined ? option.doc : `${option.doc} (default ${shown})`;
    rows.set(option.flag, { left: `      --${option.flag}${type}`, right });
  }
  rows.set("help", { left: "  -h, --help", right: `help for ${commandName}` });
  rows.set("version", { left: "      --version", right: "print the version and exit" });
  const names = [...rows.keys()].sort();
  const width = Math.max(...[...rows.values()].map((row) => row.left.length));
  const lines = names.map((name) => {
    const row = rows.get(name);
    return row === undefined ? "" : `${row.left.padEnd(width)}   ${row.right}`;
  });
  return lines.join("\n");
}

/** The option table as Markdown, for the README of an app: columns padded as the formatter pads them. */
export function renderOptionsMarkdown(options: OptionTable): string {
  const head = ["flag", "environment", "type", "default", "since", "what it does"];
  const sorted = Object.values(options).sort((a, b) => (a.flag < b.flag ? -1 : 1));
  const rows = sorted.map((option) => {
    const shown = describeDefault(option);
    return [
      `\`--${option.flag}\``,
      `\`${toEnvironmentName(option.flag)}\``,
      option.kind,
      shown === undefined ? "" : `\`${shown}\``,
      option.since === "edge" ? "edge" : `etcd ${option.since}`,
      option.doc.replaceAll("|", "\\|"),
    ];
  });
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => (row[n] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join(" | ")} |`;
  const rule = widths.map((width) => "-".repeat(width));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}
