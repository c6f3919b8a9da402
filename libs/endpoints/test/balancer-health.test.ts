import { create, StatusResponseSchema, toBinary } from "@etcd-edge/proto";
import { Channel, Server, type ServerCall, type ServerSink, type Status } from "@etcd-edge/transport";
import { expect, it } from "vitest";
import {
  ChannelBalancer,
  createStaticSource,
  type EndpointHealth,
  endpointAddress,
  parseEndpoints,
  toChannelTarget,
} from "../src/index.ts";
import { ManualClock } from "../src/manual-clock.ts";

const leading = toBinary(
  StatusResponseSchema,
  create(StatusResponseSchema, { header: { memberId: 1n, clusterId: 2n }, leader: 1n, version: "3.6.0" }),
);

type Answer = Uint8Array | Status | "none";

/** Answers each method as told, once the question is there; notes what was asked, and when a question is left without an answer. */
async function startMember(answers: Readonly<Record<string, Answer>>) {
  const asked: string[] = [];
  const left = Promise.withResolvers<void>();
  const sink: ServerSink = {
    onMessage: () => undefined,
    onHalfClose: (call: ServerCall) => {
      const method = call.path.split("/").at(-1) ?? "";
      asked.push(method);
      const answer = answers[method] ?? "none";
      if (answer === "none") return left.resolve();
      if (answer instanceof Uint8Array) call.respond(answer);
      else call.end(answer);
    },
    onCancel: () => undefined,
  };
  const server = new Server<unknown>({ createData: () => undefined, onCall: () => sink });
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
  return {
    address: `127.0.0.1:${port}`,
    asked,
    left: left.promise,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

it("a balancer leaves a member alone that passes its looks and fails the work of which another does the same", async () => {
  const looks = { Status: leading, Range: new Uint8Array(0) };
  await using sick = await startMember({
    ...looks,
    Put: { code: 14, message: "etcdserver: request timed out" },
  });
  await using sound = await startMember({ ...looks, Put: new Uint8Array(0) });
  const clock = new ManualClock();
  const changes: string[] = [];
  let changed = Promise.withResolvers<void>();
  await using balancer = new ChannelBalancer({
    source: createStaticSource(parseEndpoints([sick.address, sound.address]).endpoints),
    createChannel: (endpoint, _use, tells) =>
      new Channel({ ...toChannelTarget(endpoint, undefined), ...tells }),
    probeIntervalMs: 3_600_000,
    outlierFailures: 3,
    clock,
    onTransition: ({ endpoint, to }) => {
      changes.push(`${endpointAddress(endpoint)} ${to.t}${"error" in to ? ` ${to.error}` : ""}`);
      changed.resolve();
      changed = Promise.withResolvers();
    },
  });
  const until = async (change: string): Promise<void> => {
    while (!changes.includes(change)) await changed.promise;
  };
  await Promise.all([sick, sound].map(({ address }) => until(`${address} healthy`)));
  changes.length = 0;
  const works = async (): Promise<void> => {
    for (const { calls } of balancer.upstreams())
      await calls.unaryCall("/etcdserverpb.KV/Put", [], new Uint8Array(0)).catch(() => undefined);
  };
  for (let n = 0; n < 3; n += 1) {
    expect(balancer.choices().size).toBe(2);
    await works();
    await clock.advance(1_000);
  }
  const why = "fails calls that others serve: etcdserver: request timed out";
  expect(changes).toEqual([`${sick.address} ejected ${why}`]);
  expect([...balancer.choices().keys()].map(({ key }) => key)).toEqual([sound.address]);
  // In small steps: time must stand still once it is looked at again.
  while (!changes.includes(`${sick.address} probing ${why}`)) await clock.advance(100);
  expect(clock.nowMs()).toBeGreaterThan(5_000);
  await until(`${sick.address} healthy`);
  expect(balancer.choices().size).toBe(2);
});

it.each<[string, Record<string, Answer>, Partial<EndpointHealth>, string[]]>([
  ["that reads", { Status: leading, Range: new Uint8Array(0) }, { t: "healthy" }, ["Status", "Range"]],
  [
    "that tells nobody what it reads",
    { Status: leading, Range: { code: 3, message: "etcdserver: user name is empty" } },
    { t: "healthy" },
    ["Status", "Range"],
  ],
  [
    "that has too much to do",
    { Status: leading, Range: { code: 8, message: "too many requests" } },
    { t: "healthy" },
    ["Status", "Range"],
  ],
  [
    "that tells nobody its status",
    { Status: { code: 7, message: "etcdserver: permission denied" } },
    { t: "healthy" },
    ["Status"],
  ],
  [
    "whose store is gone",
    { Status: leading, Range: { code: 2, message: "mvcc: database is gone" } },
    { t: "ejected", error: "mvcc: database is gone" },
    ["Status", "Range"],
  ],
  [
    "that never comes to read",
    { Status: leading, Range: "none" },
    { t: "suspect", error: "no answer in time" },
    ["Status", "Range"],
  ],
])("a balancer finds a member %s", async (_, answers, health, asked) => {
  await using member = await startMember(answers);
  const clock = new ManualClock();
  const judged = Promise.withResolvers<EndpointHealth>();
  await using _balancer = new ChannelBalancer({
    source: createStaticSource(parseEndpoints([member.address]).endpoints),
    createChannel: (endpoint, _use, tells) =>
      new Channel({ ...toChannelTarget(endpoint, undefined), ...tells }),
    probeTimeoutMs: 1_000,
    clock,
    onTransition: ({ to }) => judged.resolve(to),
  });
  void member.left.then(() => clock.advance(1_000));
  expect(await judged.promise).toMatchObject(health);
  expect(member.asked).toEqual(asked);
});
