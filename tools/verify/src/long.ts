import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";

/*
 * `npm run verify:long -- [--seconds 1800] [--out .cache/verify-long] [--only chain]`
 * Every door with every fault it can have, one run after the other, the time shared among them. Each run's text goes to
 * the screen and into `<out>/<name>.txt`, with what it found beside it. The exit code is that of the worst.
 */
const main = join(import.meta.dirname, "main.ts");
const secure = ["--tls", "--token-ttl=2s"];
const runs: Readonly<Record<string, readonly string[]>> = {
  "grpc-proxy-replicas": ["--start=grpc-proxy", "--replicas=2"],
  "grpc-proxy-fabric": ["--start=grpc-proxy", "--replicas=3", "--http-replicas=2", "--nats", "--redis"],
  "grpc-proxy-users": [
    ...["--start=grpc-proxy", "--replicas=2", "--http-replicas=1", "--nats", "--redis"],
    ...["--service-user", ...secure],
  ],
  "grpc-proxy-secure": ["--start=grpc-proxy", ...secure],
  "tcp-gateway": ["--start=tcp-gateway", "--replicas=2", "--tls"],
  chain: ["--start=chain", "--replicas=2", "--nats", ...secure],
  direct: ["--start=direct"],
  // Not ours: what they break is for the table in docs/VERIFY.md.
  "etcd-grpc-proxy": ["--start=etcd-grpc-proxy"],
  "etcd-gateway": ["--start=etcd-gateway"],
};

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "1800" },
    out: { type: "string", default: ".cache/verify-long" },
    only: { type: "string", default: "" },
    rate: { type: "string", default: "150" },
    etcd: { type: "string", default: "" },
  },
});

const chosen = Object.entries(runs).filter(([name]) => name.startsWith(values.only));
const seconds = Math.max(20, Math.floor(Number(values.seconds) / Math.max(1, chosen.length)));
await mkdir(values.out, { recursive: true });
let worst = 0;
for (const [name, flags] of chosen) {
  const args = [...flags, "--faults=all", `--duration=${seconds}s`, "--round=30s", `--rate=${values.rate}`];
  if (values.etcd !== "") args.push(`--etcd=${values.etcd}`);
  const child = spawn(process.execPath, [main, ...args, `--out=${join(values.out, name)}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const report = await text(child.stdout);
  const [code] = await closed;
  process.stdout.write(report);
  await writeFile(join(values.out, `${name}.txt`), report);
  // Others' doors are compared, not held to anything.
  if (!name.startsWith("etcd-")) worst = Math.max(worst, Number(code ?? 2));
}
process.exitCode = worst;
