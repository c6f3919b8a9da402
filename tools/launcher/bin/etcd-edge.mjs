#!/usr/bin/env node
// etcd-edge <tier> start …: one command in front of the four apps, so that people can replace the word `etcd`; and of
// what people run against any etcd.
// Plain JavaScript for whatever Node starts it; the app itself runs on the pinned Node.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const commands = {
  gateway: { app: "tcp-gateway", summary: "TCP gateway: etcd gateway, with health checks and drain" },
  "grpc-proxy": { app: "grpc-proxy", summary: "gRPC proxy: the whole etcd v3 API" },
  "http-gateway": { app: "http-gateway", summary: "JSON gateway: etcd over HTTP and WebSocket" },
  discovery: { app: "discovery", summary: "endpoint discovery: DNS SRV in, DNS SRV and HTTP out" },
  verify: { tool: "verify", summary: "traffic and faults against any etcd endpoint, and a verdict" },
};

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const [word, ...rest] = process.argv.slice(2);
const command = Object.hasOwn(commands, word ?? "") ? commands[word] : undefined;

if (word === "--version" || word === "version") {
  const manifest = JSON.parse(readFileSync(join(root, "libs", "runtime", "package.json"), "utf8"));
  process.stdout.write(`etcd-edge ${manifest.version}\n`);
} else if (command === undefined) {
  const known = word === undefined || word === "help" || word === "--help" || word === "-h";
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(14)}${summary}`);
  const usage = `Usage:\n  etcd-edge [command]\n\nAvailable Commands:\n${rows.join("\n")}\n\nUse "etcd-edge [command] --help" for more information about a command.\n`;
  if (known) process.stdout.write(`the front doors of an etcd cluster\n\n${usage}`);
  else process.stderr.write(`Error: unknown command ${JSON.stringify(word)} for "etcd-edge"\n${usage}`);
  process.exitCode = known ? 0 : 1;
} else {
  const pinned = join(root, "node_modules", ".bin", "node");
  const node = existsSync(pinned) ? pinned : process.execPath;
  const home = command.app === undefined ? join("tools", command.tool) : join("apps", command.app);
  const args = [join(root, home, "src", "main.ts"), ...rest];
  // Compiled code is kept between starts, which halves the start time.
  const env = { NODE_COMPILE_CACHE: join(root, ".cache", "node"), ...process.env };
  // execve keeps the process id, which service managers watch; an older Node has to stay as the parent.
  if (typeof process.execve === "function") process.execve(node, [node, ...args], env);
  const child = spawn(node, args, { stdio: "inherit", env });
  process.on("SIGINT", () => {}); // the terminal sends it to the whole group
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.once("error", (error) => {
    process.stderr.write(`cannot run ${node}: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.once("close", (code) => {
    process.exitCode = code ?? 1;
  });
}
