import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findEtcdBinaries, findOwnNetwork } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";

const execute = promisify(execFile);
const binaries = await findEtcdBinaries();
const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

// etcd, discovery on port 53, and then etcdctl, which knows nothing but the domain. Everything ends with the shell.
const script = `
set -e
ip link set lo up
mount --bind "$FOLDER/resolv.conf" /etc/resolv.conf
"$ETCD" --data-dir "$FOLDER/data" --logger=zap \\
  --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 \\
  --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 \\
  --initial-cluster default=http://127.0.0.1:12380 >"$FOLDER/etcd.log" 2>&1 &
etcd=$!
"$NODE" "$MAIN" start --endpoints=127.0.0.1:12379 --dns-addr=127.0.0.1:53 --domain=etcd.test --cluster=blue \\
  >"$FOLDER/discovery.log" 2>&1 &
discovery=$!
trap 'kill $etcd $discovery; wait' EXIT
tries=0
until "$ETCDCTL" --discovery-srv=etcd.test put foo "$1" 2>"$FOLDER/etcdctl.log"; do
  tries=$((tries + 1))
  if [ $tries -gt 40 ]; then cat "$FOLDER"/*.log >&2; exit 1; fi
  sleep 0.25
done
"$ETCDCTL" --discovery-srv=ETCD.Test get foo --print-value-only
"$ETCDCTL" --discovery-srv=etcd.test --discovery-srv-name=blue get foo --print-value-only
if "$ETCDCTL" --discovery-srv=nowhere.etcd.test get foo 2>&1; then exit 1; fi
`;

describe.each(binaries)("etcdctl $version with --discovery-srv and nothing else", ({ etcd, etcdctl }) => {
  it("finds etcd through our DNS, by domain and by cluster name, and says what it says for no such domain", async () => {
    const [program, ...args] = await findOwnNetwork();
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-etcdctl-"));
    await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
    await writeFile(join(folder, "resolv.conf"), "nameserver 127.0.0.1\n");
    const env = {
      ...process.env,
      ETCDCTL_API: "3",
      FOLDER: folder,
      ETCD: etcd,
      ETCDCTL: etcdctl,
      NODE: process.execPath,
      MAIN: main,
    };
    const { stdout } = await execute(program, [...args, "sh", "-c", script, "sh", "found"], { env });
    const lines = stdout.trim().split("\n");
    expect(lines.slice(0, 3)).toEqual(["OK", "found", "found"]);
    expect(lines.at(-1)).toMatch(/no such host/);
  });
});
