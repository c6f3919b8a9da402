import { join } from "node:path";
import { runFuzzCommand } from "@etcd-edge/testkit";
import { targets } from "./targets.ts";

// `npm run fuzz` runs it with the others; by itself it takes `--seconds`, `--target`, `--seed` and `--keep`.
await runFuzzCommand(targets, join(import.meta.dirname, "corpus"));
