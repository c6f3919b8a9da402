import { join } from "node:path";
import { describeFuzzing } from "@etcd-edge/testkit/describe-fuzzing";
import { targets } from "./fuzz/targets.ts";

describeFuzzing(targets, join(import.meta.dirname, "fuzz", "corpus"), {
  range: 60,
  put: 30,
  txn: 12,
  watch: 12,
  "invalid-sort": 20,
  "watch-response": 10,
});
