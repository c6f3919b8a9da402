import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);
const root = join(import.meta.dirname, "..", "..", "..");
const begin = "<!-- flags: written by npm run readme -->";
const end = "<!-- /flags -->";

/** The apps whose READMEs carry a table of their flags. */
export const apps: readonly string[] = ["tcp-gateway", "grpc-proxy", "http-gateway", "discovery"];

/** Where an app's README is. */
export function readmeOf(app: string): string {
  return join(root, "apps", app, "README.md");
}

/**
 * The README of an app as it is, and as it should be: with the table that the app's own option table gives.
 * @throws Error where the README has no place for the table
 */
export async function refreshFlagTable(
  app: string,
): Promise<{ readonly before: string; readonly after: string }> {
  const before = await readFile(readmeOf(app), "utf8");
  const from = before.indexOf(begin);
  const to = before.indexOf(end);
  if (from === -1 || to < from) throw new Error(`apps/${app}/README.md lacks ${begin} and ${end}`);
  const { stdout } = await execute(
    process.execPath,
    [join(root, "apps", app, "src", "main.ts"), "start", "--help"],
    {
      env: { ...process.env, EDGE_HELP_FORMAT: "markdown" },
    },
  );
  return { before, after: `${before.slice(0, from)}${begin}\n\n${stdout}\n${before.slice(to)}` };
}
