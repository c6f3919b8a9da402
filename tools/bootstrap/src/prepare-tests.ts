import { ensureEtcd, ensureNewestDebianEtcd, ensureTestPrograms, findEtcdBinaries } from "@etcd-edge/testkit";

const progress = (line: string): void => void process.stderr.write(`${line}\n`);

try {
  await ensureEtcd(progress);
  await ensureNewestDebianEtcd(progress);
  await ensureTestPrograms(progress);
  const versions = (await findEtcdBinaries()).map((binary) => binary.version);
  progress(`testing against etcd ${versions.join(", ")}`);
} catch (error) {
  progress(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
