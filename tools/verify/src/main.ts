import { parseOptions, renderFlags, version } from "@etcd-edge/runtime";
import { findProblems, verifyOptions } from "./options.ts";
import { renderText } from "./report/render-text.ts";
import { isGood } from "./report/run-report.ts";
import { verify } from "./verify.ts";

const usage = `runs traffic, and faults where it may, against any etcd endpoint and judges the history of it

Usage:
  etcd-edge verify --endpoints=host:port[,…] [flags]
  etcd-edge verify --start=grpc-proxy --faults=all [flags]

Flags:
${renderFlags(verifyOptions, "verify")}

The exit code is 0 where every promise was kept, 1 where one was broken, 2 where it could not run.
`;

const parsed = parseOptions(verifyOptions, process.argv.slice(2), process.env);
switch (parsed.t) {
  case "help":
    process.stdout.write(usage);
    break;
  case "version":
    process.stdout.write(`etcd-edge verify ${version}\n`);
    break;
  case "problems":
    refuse(parsed.problems);
    break;
  case "values": {
    const problems = findProblems(parsed.values);
    if (problems.length > 0) refuse(problems);
    else await run();
    break;
  }
  default:
    parsed satisfies never;
}

function refuse(problems: readonly string[]): void {
  process.stderr.write(`${problems.map((problem) => `Error: ${problem}\n`).join("")}\n${usage}`);
  process.exitCode = 2;
}

async function run(): Promise<void> {
  if (parsed.t !== "values") return;
  const interrupt = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupt.abort());
  try {
    const say = (line: string): void => void process.stderr.write(`${line}\n`);
    const report = await verify(parsed.values, say, interrupt.signal);
    process.stdout.write(renderText(report));
    process.exitCode = isGood(report) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`Error: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  }
}
