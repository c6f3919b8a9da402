import { mkdir } from "node:fs/promises";
import { parseOptions, renderFlags } from "@etcd-edge/runtime";
import { clusterOptions } from "./options.ts";
import { runCluster } from "./run-cluster.ts";

const usage = `npm start: a three-member etcd and the four tiers in front of it, until Ctrl-C\n\nUsage:\n  npm start -- [flags]\n\nFlags:\n${renderFlags(clusterOptions, "npm start")}\n`;

const parsed = parseOptions(clusterOptions, process.argv.slice(2), process.env);
switch (parsed.t) {
  case "help":
  case "version":
    process.stdout.write(usage);
    break;
  case "problems":
    process.stderr.write(`${parsed.problems.map((problem) => `Error: ${problem}\n`).join("")}${usage}`);
    process.exitCode = 1;
    break;
  case "values":
    try {
      if (parsed.values.dataDir !== "") await mkdir(parsed.values.dataDir, { recursive: true });
      await runCluster(parsed.values);
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
    break;
  default:
    parsed satisfies never;
}
