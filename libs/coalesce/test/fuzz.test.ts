import { join } from "node:path";
import { describeFuzzing } from "@etcd-edge/testkit/describe-fuzzing";
import { targets } from "./fuzz/targets.ts";

describeFuzzing(targets, join(import.meta.dirname, "fuzz", "corpus"), { envelope: 5 });
