// npm start: a three-member etcd and the four tiers in front of it, until Ctrl-C.
import { ensureWorkspace, runPinned } from "./workspace.mjs";

ensureWorkspace();
process.exitCode = await runPinned("tools/cluster/src/main.ts", process.argv.slice(2));
