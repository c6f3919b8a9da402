// npm run check: every gate a commit must pass, in the order of their cost; stops at the first that fails.
import { ensureWorkspace, run, runPinned } from "./workspace.mjs";

const gates = [
  ["format and lint", () => run("biome", ["check", "--error-on-warnings", "."])],
  ["types", () => run("npm", ["run", "--silent", "types"])],
  ["boundaries", () => run("npm", ["run", "--silent", "boundaries"])],
  ["unused code", () => run("npm", ["run", "--silent", "unused"])],
];
const tests = ["unit and integration tests", () => runPinned("tools/bootstrap/test.mjs")];

ensureWorkspace();
const withTests = !process.argv.includes("--no-tests");
for (const [name, gate] of withTests ? [...gates, tests] : gates) {
  process.stderr.write(`— ${name}\n`);
  const code = await gate();
  if (code !== 0) {
    process.stderr.write(`✗ ${name}\n`);
    process.exit(code);
  }
}
