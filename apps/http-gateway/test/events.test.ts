import { type EtcdCluster, enableAuth, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HttpGateway } from "../src/app.ts";
import { EventSourceProbe } from "./support/event-source.ts";
import { startGateway } from "./support/running-gateway.ts";

const timeout = { timeout: 30_000 };
/** From these on etcd's progress can be believed (rule 4). */
const isTrusted = (version: string): boolean =>
  !version.startsWith("3.4.") || Number(version.split(".")[2]) >= 31;

describe.each(await findEtcdBinaries())("Server-Sent Events before etcd $version", (binary) => {
  let cluster: EtcdCluster;
  let gateway: HttpGateway;

  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary });
    gateway = await startGateway(cluster.endpoints, ["--events-heartbeat-interval=100ms"]);
  });
  afterAll(async () => {
    for (const one of [gateway, cluster]) await one[Symbol.asyncDispose]();
  });

  const put = (key: string, value: string) => cluster.etcdctl(["put", key, value]);
  const opened = (probe: EventSourceProbe) =>
    expect.poll(() => probe.events[0]?.name, timeout).toBe("bookmark");
  const changed = (probe: EventSourceProbe, changes: readonly string[]) =>
    expect.poll(() => probe.changes, timeout).toEqual(changes);

  it("tells changes as they come, with the revision as id, and goes on from there", async () => {
    using first = new EventSourceProbe(gateway.url, "/v3/watch?key=a");
    await opened(first);
    expect(first.headers).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
    await put("a", "1");
    await put("b", "not this");
    await cluster.etcdctl(["del", "a"]);
    await changed(first, ["PUT a=1", "DELETE a="]);
    const id = first.events.findLast(({ name }) => name === "message")?.id ?? "";
    await put("a", "2");
    using second = new EventSourceProbe(gateway.url, "/v3/watch?key=a", { "last-event-id": id });
    await changed(second, ["PUT a=2"]);
    await changed(first, ["PUT a=1", "DELETE a=", "PUT a=2"]);
  });

  it("has many ranges on one connection, and resumes each where it was", async () => {
    const path = "/v3/watch?prefix=m/&key=n&prev_kv=true";
    using first = new EventSourceProbe(gateway.url, path);
    await opened(first);
    await put("m/1", "x");
    await put("n", "y");
    await expect.poll(() => first.changes.length, timeout).toBe(2);
    const id = first.events.findLast(({ name }) => name === "message")?.id ?? "";
    expect(id).toMatch(/^\d+,\d+$/);
    await put("m/2", "z");
    using second = new EventSourceProbe(gateway.url, path, { "last-event-id": id });
    await changed(second, ["PUT m/2=z"]);
  });

  it("shows signs of life, with a bookmark where etcd can be believed", async () => {
    using probe = new EventSourceProbe(gateway.url, "/v3/watch?key=quiet");
    await opened(probe);
    await expect.poll(() => probe.others.length, timeout).toBeGreaterThan(1);
    const { stdout } = await put("elsewhere", "1");
    expect(stdout).toContain("OK");
    const before = BigInt(probe.events[0]?.id ?? 0n);
    if (isTrusted(binary.version)) {
      const last = () => BigInt(probe.events.at(-1)?.id ?? 0n);
      await expect.poll(last, timeout).toBeGreaterThan(before);
    } else {
      const beats = probe.others.length;
      await expect.poll(() => probe.others.length, timeout).toBeGreaterThan(beats + 2);
      // What is known it says; that the put was elsewhere it cannot know.
      expect(new Set(probe.events.map(({ id }) => BigInt(id)))).toEqual(new Set([before]));
    }
  });

  it("says that history is gone, and where it begins", async () => {
    await put("c", "1");
    await put("c", "2");
    const { stdout } = await cluster.etcdctl(["get", "c", "-w", "json"]);
    const revision = Number(/"revision":(\d+)/.exec(stdout)?.[1]);
    await cluster.etcdctl(["compact", String(revision)]);
    using probe = new EventSourceProbe(gateway.url, "/v3/watch?key=c&start_revision=2");
    await expect.poll(() => probe.isOver, timeout).toBe(true);
    const canceled = probe.events.find(({ name }) => name === "canceled");
    expect(JSON.parse(canceled?.data ?? "{}")).toMatchObject({ compact_revision: String(revision) });
    expect(canceled?.id).toBe(String(revision - 1));
  });

  it("answers what it cannot do with a status, so that nobody comes again", async () => {
    using probe = new EventSourceProbe(gateway.url, "/v3/watch?keys=c");
    await expect.poll(() => probe.isOver, timeout).toBe(true);
    expect(probe.status).toBe(400);
    expect(probe.body).toContain('unknown parameter \\"keys\\"');
  });

  it("takes a page's credential from a header, and from its cookie where there is none", async () => {
    await using guarded = await startEtcdCluster({ binary });
    await enableAuth(guarded, ["ann"]);
    await using door = await startGateway(guarded.endpoints);
    const tokenOf = async (name: string): Promise<string> => {
      const body = JSON.stringify({ name, password: "pw" });
      const answer = await fetch(`${door.url}/v3/auth/authenticate`, { method: "POST", body });
      return ((await answer.json()) as { token: string }).token;
    };
    const cookie = `theme=dark; token=${await tokenOf("root")}`;
    using allowed = new EventSourceProbe(door.url, "/v3/watch?key=a", { cookie });
    await opened(allowed);
    const statusWith = async (headers: Readonly<Record<string, string>>): Promise<number | undefined> => {
      using denied = new EventSourceProbe(door.url, "/v3/watch?key=a", headers);
      await expect.poll(() => denied.isOver, timeout).toBe(true);
      return denied.status;
    };
    expect(await statusWith({})).toBe(400); // etcdserver: user name is empty
    expect(await statusWith({ authorization: await tokenOf("ann"), cookie })).toBe(403);
  });

  it("cancels the watch when its client goes", async () => {
    const watchers = async (): Promise<number> => {
      const text = await (await fetch(`${cluster.members[0]?.clientUrl}/metrics`)).text();
      return Number(/^etcd_debugging_mvcc_watcher_total (\d+)/m.exec(text)?.[1]);
    };
    await expect.poll(watchers, timeout).toBe(0);
    const probe = new EventSourceProbe(gateway.url, "/v3/watch?key=a&key=b");
    await opened(probe);
    expect(await watchers()).toBe(2);
    probe[Symbol.dispose]();
    await expect.poll(watchers, timeout).toBe(0);
  });

  it("tells clients to come again when it goes away", async () => {
    const leaving = await startGateway(cluster.endpoints);
    using probe = new EventSourceProbe(leaving.url, "/v3/watch?key=a");
    await opened(probe);
    await put("a", "before it goes");
    await expect.poll(() => probe.messages.length, timeout).toBe(1);
    const drained = leaving.drain(AbortSignal.timeout(30_000));
    await expect.poll(() => probe.isOver, timeout).toBe(true);
    expect(probe.others.at(-1)).toMatch(/^retry: [123]\d{3}$/);
    // The last word is how far the client is.
    expect(probe.events.at(-1)).toMatchObject({ name: "bookmark", id: probe.events.at(-2)?.id });
    await drained;
    await leaving[Symbol.asyncDispose]();
  });
});
