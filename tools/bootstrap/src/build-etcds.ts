import { ensureGoBuiltEtcds } from "@etcd-edge/testkit";

// npm run etcd:build: etcd releases newer than the distribution's, for the tests.
await ensureGoBuiltEtcds((line) => void process.stderr.write(`${line}\n`));
