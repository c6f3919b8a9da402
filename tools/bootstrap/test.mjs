// npm test: everything the tests need, then the tests. Arguments go to vitest.
import { ensureWorkspace, runPinned } from "./workspace.mjs";

ensureWorkspace();
const prepared = await runPinned("tools/bootstrap/src/prepare-tests.ts");
process.exitCode =
  prepared === 0 ? await runPinned("tools/bootstrap/src/run-tests.ts", process.argv.slice(2)) : prepared;
