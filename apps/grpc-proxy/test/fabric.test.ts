import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fleet, type FleetProxy, patience } from "./fabric-fleet.ts";
import { WatchClient } from "./watch-client.ts";

const prefixes = ["a", "b", "c", "d", "e"];
const rangeOf = (prefix: string): string => `["${prefix}/", "${prefix}0")`;

/** Clients of one proxy, one for each range; all that they got is checked at the end. */
class Watchers implements AsyncDisposable {
  readonly proxy: FleetProxy;
  readonly #clients: WatchClient[] = [];
  /** By range: the revisions that came. */
  readonly #got = new Map<string, bigint[]>();
  /** The end of streams is no surprise from now on. */
  isOver = false;

  private constructor(proxy: FleetProxy) {
    this.proxy = proxy;
  }

  static async open(proxy: FleetProxy): Promise<Watchers> {
    const all = new Watchers(proxy);
    for (const prefix of prefixes) {
      const client = new WatchClient(proxy.port);
      client.create({ key: Buffer.from(`${prefix}/`), rangeEnd: Buffer.from(`${prefix}0`) });
      expect(await client.next()).toMatchObject({ created: true, canceled: false });
      all.#clients.push(client);
      all.#got.set(prefix, []);
      void all.#follow(prefix, client);
    }
    return all;
  }

  async #follow(prefix: string, client: WatchClient): Promise<void> {
    try {
      for (;;) {
        const { events } = await client.next();
        for (const { kv } of events) this.#got.get(prefix)?.push(kv?.modRevision ?? 0n);
      }
    } catch (error) {
      if (!this.isOver) throw error;
    }
  }

  /** Waits until they have these, in this order and no other. */
  async have(expected: ReadonlyMap<string, readonly bigint[]>): Promise<void> {
    for (const [prefix, revisions] of expected) {
      const got = this.#got.get(prefix) ?? [];
      await expect.poll(() => got.at(-1) ?? 0n, patience).toBeGreaterThanOrEqual(revisions.at(-1) ?? 0n);
      expect(got).toEqual(revisions);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isOver = true;
    for (const client of this.#clients) await client[Symbol.asyncDispose]();
  }
}

describe("three grpc-proxies that share feeds over NATS", () => {
  let fleet: Fleet;
  const watchers: Watchers[] = [];
  const written = new Map<string, bigint[]>(prefixes.map((prefix) => [prefix, []]));

  /** Writes into every range, and waits until every watcher has it. */
  async function write(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      for (const prefix of prefixes) {
        const { stdout } = await fleet.cluster.etcdctl(["put", `${prefix}/k`, `v${i}`, "-w=json"]);
        const { header } = JSON.parse(stdout) as { header: { revision: number } };
        written.get(prefix)?.push(BigInt(header.revision));
      }
    }
    await Promise.all(watchers.map((all) => all.have(written)));
  }

  /** Ends a proxy, and with it the streams of its clients. @returns what `exited` says */
  async function end(proxy: FleetProxy, signal: "SIGKILL" | "SIGTERM"): Promise<number | string> {
    fleet.proxies.splice(fleet.proxies.indexOf(proxy), 1);
    const [gone] = watchers.splice(
      watchers.findIndex((all) => all.proxy === proxy),
      1,
    );
    if (gone !== undefined) gone.isOver = true;
    proxy.program.signal(signal);
    const how = await proxy.program.exited;
    await gone?.[Symbol.asyncDispose]();
    return how;
  }

  beforeAll(async () => {
    fleet = await Fleet.start(3);
    for (const proxy of fleet.proxies) watchers.push(await Watchers.open(proxy));
  });

  afterAll(async () => {
    for (const all of watchers) await all[Symbol.asyncDispose]();
    await fleet[Symbol.asyncDispose]();
  });

  it("etcd has one watch for each range, and every client every event", async () => {
    await write(3);
    await fleet.untilWatches(prefixes.length);
    const { others } = await fleet.ingester(rangeOf("a"));
    await write(1);
    for (const proxy of others) {
      const frames = (): Promise<number> => fleet.metric(proxy, "etcd_edge_fabric_frames_in_total");
      await expect.poll(frames, patience).toBeGreaterThan(0);
    }
    const [first] = fleet.proxies;
    const explained = async (): Promise<unknown> => (await fetch(`${first?.adminUrl}/explain/fabric`)).json();
    // What others say of themselves is as old as their last heartbeat.
    await expect.poll(explained, patience).toMatchObject({
      isConnected: true,
      replicas: Array.from({ length: 2 }, () => ({
        tier: "grpc-proxy",
        isDraining: false,
        stats: { streams: prefixes.length, watches: prefixes.length },
      })),
    });
  });

  it("rule 26: when the ingester is killed one other takes its place", async () => {
    const { ingester } = await fleet.ingester(rangeOf("a"));
    await end(ingester, "SIGKILL");
    await write(2);
    await fleet.untilWatches(prefixes.length);
  });

  it("an ingester that stood still neither loses nor repeats anything", async () => {
    const { ingester } = await fleet.ingester(rangeOf("a"));
    ingester.program.signal("SIGSTOP");
    const stopped = watchers.findIndex((all) => all.proxy === ingester);
    const [behind] = watchers.splice(stopped, 1);
    await write(2); // the other one notices, and goes to etcd
    ingester.program.signal("SIGCONT");
    if (behind !== undefined) watchers.push(behind);
    await write(1);
    await fleet.untilWatches(prefixes.length);
  });

  it("without NATS every replica watches for itself; with it they share again", async () => {
    fleet.nats.signal("SIGKILL");
    await fleet.nats.exited;
    await fleet.untilWatches(prefixes.length * 2);
    await write(2);
    for (const proxy of fleet.proxies)
      await expect.poll(() => fleet.metric(proxy, "etcd_edge_fabric_connected"), patience).toBe(0);
    await fleet.startNats();
    await write(1);
    await fleet.untilWatches(prefixes.length);
    await write(1);
  });

  it("a replica that leaves hands over what it watches", async () => {
    const { ingester } = await fleet.ingester(rangeOf("a"));
    expect(await end(ingester, "SIGTERM")).toBe(0);
    await write(2);
    await fleet.untilWatches(prefixes.length);
    const [last] = fleet.proxies;
    if (last === undefined) throw new Error("nobody is left");
    await expect.poll(() => fleet.role(last, rangeOf("a")), patience).toBe("ingesting");
  });
});
