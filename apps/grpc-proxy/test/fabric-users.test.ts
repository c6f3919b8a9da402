import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Auth, toGrpcJsService } from "@etcd-edge/proto";
import {
  type EtcdCluster,
  enableAuth,
  findEtcdBinaries,
  findFreePorts,
  requireProgram,
  startEtcdCluster,
  startProgram,
} from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import { EtcdClient } from "./etcd-client.ts";
import { patience } from "./fabric-fleet.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const auth = toGrpcJsService(Auth);
const root = "--user=root:pw";
const denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
/** What each may read, and watches: none of the ranges is another's, all of them meet. */
const users = { ann: ["a", "b"], bob: ["a", "c"], cid: ["a5", "b5"] } as const;
type User = keyof typeof users;
const names = Object.keys(users) as User[];

async function startCluster(): Promise<EtcdCluster> {
  const binary = (await findEtcdBinaries()).at(-1);
  if (binary === undefined) throw new Error("no etcd");
  const cluster = await startEtcdCluster({ binary });
  await enableAuth(cluster, names);
  for (const name of names) {
    await cluster.etcdctl(["role", "add", name, root]);
    await cluster.etcdctl(["role", "grant-permission", name, "read", ...users[name], root]);
    await cluster.etcdctl(["user", "grant-role", name, name, root]);
  }
  return cluster;
}

async function watchesAt({ endpoints }: EtcdCluster): Promise<number> {
  const text = await (await fetch(`http://${endpoints[0]}/metrics`)).text();
  return Number(/^etcd_debugging_mvcc_watcher_total (\S+)/m.exec(text)?.[1] ?? Number.NaN);
}

/** A watch of some range as that user. */
async function watchAs({ address }: GrpcProxy, name: User, [key, end]: readonly string[]) {
  await using client = new EtcdClient(`127.0.0.1:${address.port}`);
  const { token } = await client.call(auth.authenticate, { name, password: "pw" } as never);
  const watcher = new WatchClient(address.port, ["token", token]);
  watcher.create({ key: Buffer.from(key ?? ""), rangeEnd: Buffer.from(end ?? "") });
  return watcher;
}

describe("three users through three replicas that share feeds under --user", () => {
  it("rule 18, rule 28: each sees what he may, of one watch at etcd, until it is revoked", async () => {
    await using undo = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-fabric-users-"));
    undo.defer(() => rm(folder, { recursive: true }));
    for (const file of ["key", "password"]) await writeFile(join(folder, file), "pw");
    const [port = 0] = await findFreePorts(1);
    const nats = undo.use(
      startProgram(await requireProgram("nats-server"), ["-a", "127.0.0.1", "-p", String(port)]),
    );
    await nats.waitForLine("Server is ready");
    const cluster = undo.use(await startCluster());
    const proxies: GrpcProxy[] = [];
    for (let i = 0; i < 3; i++) {
      const identity = { user: "root", passwordFile: join(folder, "password"), authRecheck: 300 };
      const fabric = { natsUrl: [`nats://127.0.0.1:${port}`], fabricKeyFile: join(folder, "key") };
      proxies.push(undo.use(await startProxy({ endpoints: cluster.endpoints, ...identity, ...fabric })));
    }

    const watches: { readonly name: User; readonly watcher: WatchClient }[] = [];
    for (const name of ["bob", "ann", "cid"] as const) {
      for (const proxy of proxies) {
        const watcher = undo.use(await watchAs(proxy, name, users[name]));
        expect(await watcher.next()).toMatchObject({ created: true, canceled: false });
        watches.push({ name, watcher });
      }
    }
    const strange = undo.use(await watchAs(proxies[1] as GrpcProxy, "ann", users.bob));
    expect(await strange.next()).toMatchObject({ canceled: true, cancelReason: denied });
    await expect.poll(() => watchesAt(cluster), patience).toBe(1);

    /** Puts keys; all who are left see those of their range, in order and nothing else. */
    const write = async (keys: readonly string[]): Promise<void> => {
      for (const key of keys) await cluster.etcdctl(["put", key, "v", root]);
      for (const { name, watcher } of watches) {
        const [from, to] = users[name];
        const expected = keys.filter((key) => key >= from && key < to);
        const told = await watcher.events(expected.length);
        expect(told.map(({ kv }) => Buffer.from(kv?.key ?? []).toString())).toEqual(expected);
      }
    };
    await write(["a1", "a6", "b1", "b6", "c1", "a7"]);

    await cluster.etcdctl(["role", "revoke-permission", "ann", ...users.ann, root]);
    for (const { watcher } of watches.splice(3, 3))
      expect(await watcher.next()).toMatchObject({ canceled: true, events: [] });
    await write(["a2", "a8", "b2", "b7"]);
  });
});
