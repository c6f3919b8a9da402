import { join } from "node:path";
import { stdout } from "node:process";
import { parseArgs } from "node:util";
import { type Report, toMarkdown, writeReport } from "./report.ts";
import type { BenchOptions } from "./scenarios/bench-options.ts";
import { benchFabric } from "./scenarios/fabric.ts";
import { benchFabricFaults, benchFabricFaultsAlone } from "./scenarios/fabric-faults.ts";
import { benchHttp } from "./scenarios/http.ts";
import { benchLeases } from "./scenarios/leases.ts";
import { benchReads } from "./scenarios/reads.ts";
import { benchRevocation } from "./scenarios/revocation.ts";
import { benchSoak } from "./scenarios/soak.ts";
import { benchTcp } from "./scenarios/tcp.ts";
import { benchTransport } from "./scenarios/transport.ts";
import { benchUnary } from "./scenarios/unary.ts";
import { benchWatch } from "./scenarios/watch.ts";
import { benchWatchSoak } from "./scenarios/watch-soak.ts";

const suites: Readonly<Record<string, (options: BenchOptions) => Promise<Report>>> = {
  tcp: benchTcp,
  transport: benchTransport,
  unary: benchUnary,
  http: benchHttp,
  fabric: benchFabric,
  "fabric-faults": benchFabricFaults,
  "fabric-faults-alone": benchFabricFaultsAlone,
  leases: benchLeases,
  reads: benchReads,
  revocation: benchRevocation,
  soak: benchSoak,
  watch: benchWatch,
  "watch-soak": benchWatchSoak,
};

const usage = `npm run bench -- <suite> [--seconds 3] [--rounds 3] [--etcd 3.5] [--out .cache/bench]

Suites: ${Object.keys(suites).join(", ")}. Writes <suite>.json and <suite>.md, and prints the table.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    etcd: { type: "string" },
    out: { type: "string", default: join(import.meta.dirname, "..", "..", "..", ".cache", "bench") },
    help: { type: "boolean", default: false },
  },
});

const [name = ""] = positionals;
const suite = suites[name];
if (values.help || suite === undefined) {
  stdout.write(usage);
  process.exitCode = values.help ? 0 : 1;
} else {
  const report = await suite({
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
    etcd: values.etcd,
  });
  await writeReport(values.out, report);
  stdout.write(toMarkdown(report));
  if (report.isBroken === true) process.exitCode = 1;
}
