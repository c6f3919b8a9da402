import { create, StatusResponseSchema, toBinary } from "@etcd-edge/proto";
import { Channel, Server, type ServerCall, type ServerSink, type Status } from "@etcd-edge/transport";
import { expect, it } from "vitest";
import {
  ChannelBalancer,
  createStaticSource,
  type EndpointHealth,
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
    createChannel: (endpoint, _use, onState) =>
      new Channel({ ...toChannelTarget(endpoint, undefined), onState }),
    probeTimeoutMs: 1_000,
    clock,
    onTransition: ({ to }) => judged.resolve(to),
  });
  void member.left.then(() => clock.advance(1_000));
  expect(await judged.promise).toMatchObject(health);
  expect(member.asked).toEqual(asked);
});
