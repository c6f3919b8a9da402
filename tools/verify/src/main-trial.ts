import { checkHistory } from "./check-history.ts";
import { runRound } from "./driver/run-round.ts";
import { Random } from "./random.ts";

const endpoints = (process.argv[2] ?? "").split(",");
const ref = (process.argv[3] ?? process.argv[2] ?? "").split(",");
const ms = Number(process.argv[4] ?? 5000);
const history = await runRound(
  {
    target: { endpoints },
    reference: { endpoints: ref },
    ratePerSecond: 400,
    clients: 8,
    watchStreams: 8,
    leaseClients: 2,
    backlog: 1500,
    groups: 4,
    keysPerGroup: 4,
    compactEveryMs: 1000,
  },
  `verify/${Date.now()}/`,
  { durationMs: ms, operations: Infinity },
  new Random(Number(process.argv[5] ?? 1)),
);
const t = performance.now();
const f = checkHistory(history);
console.log(
  history.operations.length,
  "ops",
  history.watches.length,
  "watches",
  history.watches.flatMap((w) => w.messages).length,
  "messages",
  history.reference.changes.length,
  "changes",
  history.leases.length,
  "leases",
  history.reference.gaps,
  "gave up",
  f.search,
  "check ms",
  performance.now() - t,
  "ended",
  history.endedAt,
  "calm",
  history.calmFrom,
);
const by = Map.groupBy(f.violations, (v) => v.promise);
for (const [p, vs] of by) {
  console.log(p, vs.length);
  for (const v of vs.slice(0, 3)) console.log("  ", v.text, "\n      ", v.evidence.join("\n       "));
}
