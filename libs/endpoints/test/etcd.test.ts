import { once } from "node:events";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { KV, Maintenance, toGrpcJsService } from "@etcd-edge/proto";
import { type EtcdCluster, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import { Server, ServerCredentials, type ServiceDefinition, type sendUnaryData } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createAutoProbe,
  createEtcdProbe,
  createHttpProbe,
  createMemberSource,
  createStaticSource,
  createTcpProbe,
  type Endpoint,
  EndpointPool,
  EndpointSetHolder,
  endpointAddress,
  endpointKey,
  parseEndpoint,
  validateEndpoints,
} from "../src/index.ts";
import { makeCertificates } from "./certificates.ts";

const binaries = await findEtcdBinaries();
const newest = binaries.at(-1);
if (newest === undefined) throw new Error("no etcd to test with");

function toEndpoint(text: string | undefined): Endpoint {
  const parsed = parseEndpoint(text ?? "");
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

const within = (ms: number): AbortSignal => AbortSignal.timeout(ms);

describe("probes", () => {
  let cluster: EtcdCluster;
  let member: EtcdCluster["members"][number];
  let endpoint: Endpoint;
  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary: newest });
    const [first] = cluster.members;
    if (first === undefined) throw new Error("no member");
    member = first;
    endpoint = toEndpoint(member.clientUrl);
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  const probes = [
    ["auto", createAutoProbe()],
    ["etcd status", createEtcdProbe()],
    ["http", createHttpProbe()],
  ] as const;

  it.each(probes)(
    "%s finds a running member alive, a stopped one silent, a resumed one alive",
    async (_, probe) => {
      expect(await probe(endpoint, within(5_000))).toEqual({ t: "alive" });
      await member.stop();
      expect(await probe(endpoint, within(300))).toMatchObject({ t: "silent" });
      member.resume();
      expect(await probe(endpoint, within(5_000))).toEqual({ t: "alive" });
    },
  );

  it("tcp takes a stopped member for alive, which is why it is not the default", async () => {
    await member.stop();
    expect(await createTcpProbe()(endpoint, within(1_000))).toEqual({ t: "alive" });
    member.resume();
  });

  it.each([...probes, ["tcp", createTcpProbe()] as const])(
    "%s finds nobody unreachable",
    async (_, probe) => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const bound = server.address();
      const port = bound !== null && typeof bound === "object" ? bound.port : 0;
      server.close();
      await once(server, "close");
      expect(await probe(toEndpoint(`http://127.0.0.1:${port}`), within(5_000))).toMatchObject({
        t: "unreachable",
      });
    },
  );

  it.each([
    ["silent", undefined, 0],
    ["unreachable", { code: 14, details: "mvcc: database is gone" }, 0],
    ["alive", { code: 3, details: "etcdserver: user name is empty" }, 0],
    ["alive", undefined, 1],
  ])(
    "etcd status finds a member %s whose status is good and whose reads come to %j",
    async (t, error, count) => {
      const server = new Server();
      server.addService({ status: toGrpcJsService(Maintenance).status } as ServiceDefinition, {
        status: (_: unknown, answer: sendUnaryData<unknown>) => answer(null, { $typeName: "x", leader: 1n }),
      });
      server.addService({ range: toGrpcJsService(KV).range } as ServiceDefinition, {
        range: (call: { request: { serializable: boolean } }, answer: sendUnaryData<unknown>) => {
          expect(call.request.serializable).toBe(true);
          if (error !== undefined) answer(error);
          else if (count > 0) answer(null, { $typeName: "x", count: BigInt(count) });
        },
      });
      const port = await promisify(server.bindAsync.bind(server))(
        "127.0.0.1:0",
        ServerCredentials.createInsecure(),
      );
      const timeMs = t === "silent" ? 1_000 : 10_000;
      const found = await createEtcdProbe()(toEndpoint(`http://127.0.0.1:${port}`), within(timeMs));
      server.forceShutdown();
      expect(found).toMatchObject({ t });
    },
  );

  it("auto finds a listener that hangs up on everything unreachable", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const bound = server.address();
    const port = bound !== null && typeof bound === "object" ? bound.port : 0;
    expect(await createAutoProbe()(toEndpoint(`127.0.0.1:${port}`), within(5_000))).toMatchObject({
      t: "unreachable",
    });
    server.close();
    await once(server, "close");
  });
});

describe("TLS", () => {
  it("auto finds out that an endpoint speaks TLS; validation checks CA and name by a handshake", async () => {
    await using certificates = await makeCertificates(["DNS:example.test", "IP:127.0.0.1"]);
    await using stranger = await makeCertificates(["DNS:example.test"]);
    await using cluster = await startEtcdCluster({ binary: newest, tls: certificates });
    const address = cluster.endpoints[0] ?? "";
    const probe = createAutoProbe();
    for (const _ of ["finds out", "remembers"]) {
      expect(await probe(toEndpoint(address), within(5_000))).toEqual({ t: "alive" });
    }
    const { ca } = certificates;
    expect(await createEtcdProbe({ ca })(toEndpoint(`https://${address}`), within(5_000))).toEqual({
      t: "alive",
    });

    const offered = [toEndpoint(`https://${address}`), toEndpoint(`http://${address}`)];
    const { endpoints, errors } = await validateEndpoints(offered, {
      tls: { ca, serverName: "example.test" },
    });
    expect(endpoints.map(endpointAddress)).toEqual([address]);
    expect(errors).toEqual([`"http://${address}" is insecure`]);

    const wrong = [
      { ca, serverName: "other.test" },
      { ca: stranger.ca, serverName: "example.test" },
    ];
    for (const tls of wrong) {
      const refused = await validateEndpoints(offered.slice(0, 1), { tls });
      expect(refused.endpoints).toEqual([]);
      expect(refused.errors[0]).toMatch(new RegExp(`^"https://${address}" failed to dial \\(.+\\)$`));
    }
  });
});

describe.each(binaries)("members of etcd $version", (binary) => {
  it("lists voting members by name, leaves out those not started and learners", async () => {
    await using cluster = await startEtcdCluster({ binary });
    await cluster.etcdctl(["member", "add", "ghost", "--learner", "--peer-urls=http://127.0.0.1:1"]);
    const seeds = createStaticSource([toEndpoint("127.0.0.1:9"), ...cluster.endpoints.map(toEndpoint)]);
    await using source = createMemberSource({ seeds });
    await expect(source.firstOutcome).resolves.toMatchObject({ t: "loaded" });
    expect(source.current().endpoints).toEqual([
      { ...toEndpoint(cluster.members[0]?.clientUrl), name: "m1" },
    ]);
    expect(source.clusterId()).toBeTypeOf("bigint");
  });
});

describe("a pool over a real cluster", () => {
  it("does not believe a member of another cluster", async () => {
    await using home = await startEtcdCluster({ binary: newest });
    await using foreign = await startEtcdCluster({ binary: newest });
    const holder = new EndpointSetHolder();
    holder.update(home.endpoints.map(toEndpoint));
    const strangers: string[] = [];
    await using source = createMemberSource({
      seeds: {
        current: () => holder.current(),
        subscribe: (listener) => holder.subscribe(listener),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      intervalMs: 50,
      onForeignCluster: (endpoint) => strangers.push(endpointKey(endpoint)),
    });
    await source.firstOutcome;
    const before = source.current();
    const failed = Promise.withResolvers<void>();
    await home.members[0]?.kill();
    holder.update(foreign.endpoints.map(toEndpoint));
    const poll = setInterval(() => {
      if (strangers.length > 0) failed.resolve();
    }, 20);
    await failed.promise;
    clearInterval(poll);
    expect(strangers).toContain(foreign.endpoints[0]);
    expect(source.current()).toBe(before);
  });

  it("avoids a stopped member within 2 s and takes it back when it continues", async () => {
    await using cluster = await startEtcdCluster({ binary: newest, members: 3 });
    const changes: string[] = [];
    const waiting = new Map<string, () => void>();
    await using pool = new EndpointPool({
      source: createStaticSource(cluster.endpoints.map(toEndpoint)),
      probe: createAutoProbe(),
      onTransition: ({ endpoint, to }) => {
        const change = `${endpointAddress(endpoint)} ${to.t}`;
        changes.push(change);
        waiting.get(change)?.();
      },
    });
    const reached = async (change: string): Promise<void> => {
      if (changes.includes(change)) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.set(change, resolve);
      await promise;
    };
    await Promise.all(cluster.endpoints.map((address) => reached(`${address} healthy`)));
    const [member] = cluster.members;
    const address = member?.clientAddress ?? "";
    const stoppedAtMs = performance.now();
    await member?.stop();
    await reached(`${address} suspect`);
    expect(performance.now() - stoppedAtMs).toBeLessThan(20_000); // two seconds, where the machine is not busy
    const picks = Array.from({ length: 100 }, () => endpointAddress(pool.pick() ?? toEndpoint("none:1")));
    expect(picks).not.toContain(address);
    await reached(`${address} ejected`);
    changes.length = 0;
    member?.resume();
    await reached(`${address} healthy`);
  });
});
