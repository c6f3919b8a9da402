import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/** The part of vitest's JSON report that decides a run. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly success: boolean;
}

const folder = join(process.cwd(), ".cache");
const reportFile = join(folder, "test-report.json");

/** Runs vitest with our arguments; the last line is `N passed, N failed`, read from its JSON report. */
await mkdir(folder, { recursive: true });
await rm(reportFile, { force: true });
const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
const child = spawn("vitest", [...args, ...process.argv.slice(2)], { stdio: "inherit" });
process.on("SIGINT", () => {}); // vitest gets it too and ends by itself
const [code] = await once(child, "close");
const report = JSON.parse(await readFile(reportFile, "utf8")) as Report;
process.stdout.write(`${report.numPassedTests} passed, ${report.numFailedTests} failed\n`);
const ran = report.numPassedTests + report.numFailedTests;
// Skipped tests are a failure here: nothing that the suite promises may silently not run.
const clean = code === 0 && report.success && report.numPendingTests === 0 && ran > 0;
process.exitCode = clean ? 0 : 1;
