import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findEtcdBinaries, findOwnNetwork } from "@etcd-edge/testkit";
import { expect, it } from "vitest";

const execute = promisify(execFile);
const newest = (await findEtcdBinaries()).at(-1);
if (newest === undefined) throw new Error("no etcd to test with");
const root = join(import.meta.dirname, "..", "..", "..");

// etcd, discovery on port 53 of a network of its own, the two tiers that Python has clients for; then a program that knows
// nothing but the domain. Everything ends with the shell.
const script = `
set -e
ip link set lo up
mount --bind "$FOLDER/resolv.conf" /etc/resolv.conf
start() { log="$FOLDER/$1.log"; shift; "$@" >"$log" 2>&1 & running="$running $!"; }
tier() { name=$1; shift; start "$name" "$NODE" "$ROOT/apps/$name/src/main.ts" start "$@"; }
trap 'kill $running; wait' EXIT
etcd=http://127.0.0.1:12379
start etcd "$ETCD" --data-dir "$FOLDER/data" --logger=zap --listen-client-urls $etcd --advertise-client-urls $etcd \\
  --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 \\
  --initial-cluster default=http://127.0.0.1:12380
tier discovery --endpoints=$etcd --dns-addr=127.0.0.1:53 --domain=etcd.test --resolver-prefix=___edge
tier grpc-proxy --endpoints=$etcd --listen-addr=127.0.0.1:12390 --advertise-client-url=127.0.0.1:12390 \\
  --resolver-prefix=___edge --resolver-ttl=5
tier http-gateway --endpoints=$etcd --listen-addr=127.0.0.1:12391 --advertise-url=http://127.0.0.1:12391 \\
  --discovery-url=http://127.0.0.1:23770 --discovery-tier=grpc-proxy
/usr/bin/python3 -c "$PROGRAM"
`;

/** Waits for both tiers, then reads and writes through a replica of each that DNS named. Prints one line of JSON. */
const program = `
import dns.exception, dns.resolver, etcd3, etcd3gw, json, time

def srv(name):
    return [(str(one.target), one.port) for one in dns.resolver.resolve(name, 'SRV')]

def wait_for(tier):
    deadline = time.monotonic() + 60
    while True:
        try:
            return srv('_etcd-client._tcp.%s.etcd.test' % tier)
        except dns.exception.DNSException:
            if time.monotonic() > deadline: raise
            time.sleep(0.1)

def refusal(name):
    try:
        return srv(name)
    except dns.exception.DNSException as error:
        return type(error).__name__

out = {tier: wait_for(tier) for tier in ['members', 'grpc-proxy', 'http-gateway']}
out['ssl'] = refusal('_etcd-client-ssl._tcp.etcd.test')
out['nowhere'] = refusal('_etcd-client._tcp.nowhere.etcd.test')
dns.resolver.default_resolver.use_edns(0, 0, 1232)
out['edns'] = srv('_etcd-client._tcp.etcd.test')
for host, port in out['grpc-proxy']:
    client = etcd3.client(host=host.rstrip('.'), port=port, timeout=20)
    client.put('greeting', 'hello')
    out['etcd3'] = client.get('greeting')[0].decode()
for host, port in out['http-gateway']:
    out['etcd3gw'] = [value.decode() for value in etcd3gw.client(host=host.rstrip('.'), port=port).get('greeting')]
print(json.dumps(out))
`;

it("Python clients that know the domain alone: dnspython for SRV, python3-etcd3 (grpc C core) and python3-etcd3gw for the names", async () => {
  const [unshare, ...args] = await findOwnNetwork();
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-python-"));
  await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
  await writeFile(join(folder, "resolv.conf"), "nameserver 127.0.0.1\n");
  const env = {
    ...process.env,
    FOLDER: folder,
    ETCD: newest.etcd,
    NODE: process.execPath,
    ROOT: root,
    PROGRAM: program,
  };
  const { stdout } = await execute(unshare, [...args, "sh", "-c", script], { env }).catch(async (error) => {
    const logs = (await readdir(folder)).filter((name) => name.endsWith(".log"));
    const texts = await Promise.all(logs.map((name) => readFile(join(folder, name), "utf8")));
    throw new Error(texts.map((text) => text.slice(-2_000)).join("\n"), { cause: error });
  });
  const target = "ip-127-0-0-1.etcd.test.";
  expect(JSON.parse(stdout)).toEqual({
    members: [[target, 12379]],
    "grpc-proxy": [[target, 12390]],
    "http-gateway": [[target, 12391]],
    edns: [[target, 12379]],
    ssl: "NoAnswer",
    nowhere: "NXDOMAIN",
    etcd3: "hello",
    etcd3gw: ["hello"],
  });
});
