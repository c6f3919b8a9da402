import {
  type CertificateAuthority,
  createAuthority,
  type EtcdCluster,
  enableAuth,
  findEtcdBinaries,
  findFreePorts,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HttpGateway } from "../src/app.ts";
import { LineReader } from "./support/line-reader.ts";
import { startGateway } from "./support/running-gateway.ts";

const b64 = (text: string): string => Buffer.from(text).toString("base64");
const denied = { code: 7, message: "etcdserver: permission denied" };

describe.each(await findEtcdBinaries())(
  "an identity of our own by certificate, before etcd $version with --client-cert-auth",
  (binary) => {
    let authority: CertificateAuthority;
    let cluster: EtcdCluster;
    let door: HttpGateway;
    let adminUrl: string;
    beforeAll(async () => {
      authority = await createAuthority();
      const nameless = await authority.issue({ name: "nameless" });
      const own = await authority.issue({ name: "edge", subject: "CN=edge" });
      const certAuth = { ...nameless, trustedCaFile: authority.caFile };
      cluster = await startEtcdCluster({ binary, certAuth, args: ["--bcrypt-cost=4"] });
      await enableAuth(cluster, ["ann", "eve", "bob", "edge"]);
      const etcdctl = (...args: string[]) => cluster.etcdctl([...args, "--user=root:pw"]);
      await etcdctl("role", "add", "reader");
      await etcdctl("role", "grant-permission", "reader", "read", "k");
      for (const user of ["ann", "eve", "edge"]) await etcdctl("user", "grant-role", user, "reader");
      const [admin = 0] = await findFreePorts(1);
      adminUrl = `http://127.0.0.1:${admin}`;
      door = await startGateway(cluster.secureEndpoints, [
        ...[`--cacert=${authority.caFile}`, `--cert=${nameless.certFile}`, `--key=${nameless.keyFile}`],
        ...[`--user-cert=${own.certFile}`, `--user-key=${own.keyFile}`],
        ...["--auth-recheck=60s", `--metrics-addr=${adminUrl}`],
      ]);
    });
    afterAll(async () => {
      for (const one of [door, cluster, authority]) await one[Symbol.asyncDispose]();
    });

    async function post(path: string, body: unknown, token?: string): Promise<Record<string, unknown>> {
      const headers: Record<string, string> = token === undefined ? {} : { Authorization: token };
      const answer = await fetch(`${door.url}${path}`, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
      });
      return (await answer.json()) as Record<string, unknown>;
    }

    it("rule 8: reads and watches are shared under it by who may see them, and nobody is its user", async () => {
      const tokenOf = async (name: string): Promise<string> =>
        String((await post("/v3/auth/authenticate", { name, password: "pw" }))["token"]);
      const [ann, eve, bob, root] = [
        await tokenOf("ann"),
        await tokenOf("eve"),
        await tokenOf("bob"),
        await tokenOf("root"),
      ];
      await post("/v3/kv/put", { key: b64("k"), value: b64("v") }, root);
      const read = (token?: string) => post("/v3/kv/range", { key: b64("k") }, token);
      const shared = async (): Promise<number> => {
        const text = await (await fetch(`${adminUrl}/metrics`)).text();
        return Number(/^etcd_edge_reads_as_user_total (\S+)/m.exec(text)?.[1]);
      };
      for (const token of [ann, eve]) {
        const before = await shared();
        const again = (): Promise<number> => read(token).then(shared);
        await expect.poll(again, { timeout: 60_000, interval: 20 }).toBeGreaterThan(before);
      }
      const create = `{"create_request":{"key":"${b64("k")}"}}`;
      using one = new LineReader(door.url, "/v3/watch", create, { Authorization: ann });
      using two = new LineReader(door.url, "/v3/watch", create, { Authorization: eve });
      using none = new LineReader(door.url, "/v3/watch", create);
      for (const reader of [one, two, none]) await reader.until((lines) => lines.length === 1);
      expect(JSON.parse(none.lines[0] ?? "").result.cancel_reason).toContain(denied.message);
      const feeds = async (): Promise<unknown> => {
        const scopes = (await (await fetch(`${adminUrl}/explain/watch`)).json()) as {
          readonly feeds: readonly { readonly watchers: number }[];
        }[];
        return scopes.flatMap((scope) => scope.feeds.map(({ watchers }) => watchers)).filter((n) => n > 0);
      };
      await expect.poll(feeds, { timeout: 60_000 }).toEqual([2]);
      for (const who of [undefined, bob]) expect(await read(who)).toMatchObject(denied);
      expect(await post("/v3/kv/put", { key: b64("k") })).toMatchObject(denied);
      await post("/v3/kv/put", { key: b64("k"), value: b64("w") }, root);
      for (const reader of [one, two]) await reader.until((lines) => lines.length === 2);
      expect(none.lines).toHaveLength(1);
    });
  },
);
