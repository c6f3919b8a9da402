import { Epochs, type SessionPort } from "@etcd-edge/coalesce";
import { ChannelBalancer, createStaticSource, parseEndpoints, toChannelTarget } from "@etcd-edge/endpoints";
import { TokenNames } from "@etcd-edge/identity";
import {
  AuthenticateRequestSchema,
  AuthenticateResponseSchema,
  create,
  fromBinary,
  toBinary,
  WatchRequestSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import { systemClock } from "@etcd-edge/runtime";
import { enableAuth, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";
import { expect, it } from "vitest";
import { findNoTransform, WatchService } from "../src/index.ts";

/** A door that speaks no gRPC: messages arrive as they are. */
class PlainDoor implements SessionPort {
  readonly fans = undefined;
  readonly #waiting: ((answer: WatchResponse) => void)[] = [];
  readonly #got: WatchResponse[] = [];

  send(head: Uint8Array, body: Uint8Array): boolean {
    const answer = fromBinary(WatchResponseSchema, Buffer.concat([head, body]));
    const next = this.#waiting.shift();
    if (next === undefined) this.#got.push(answer);
    else next(answer);
    return true;
  }

  end(): void {}

  next(): Promise<WatchResponse> {
    const answer = this.#got.shift();
    return answer === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(answer);
  }
}

const watchK = toBinary(
  WatchRequestSchema,
  create(WatchRequestSchema, { requestUnion: { case: "createRequest", value: { key: Buffer.from("k") } } }),
);

const [binary] = (await findEtcdBinaries()).slice(-1);
if (binary === undefined) throw new Error("no etcd");

it("shares feeds by scope and shows etcd the credential of the moment", async () => {
  await using cluster = await startEtcdCluster({ binary });
  await enableAuth(cluster);
  const { endpoints } = parseEndpoints(cluster.endpoints);
  await using balancer = new ChannelBalancer({
    source: createStaticSource(endpoints),
    createChannel: (endpoint, _use, tells) =>
      new Channel({ ...toChannelTarget(endpoint, undefined), ...tells }),
  });
  const [endpoint] = endpoints;
  if (endpoint === undefined) throw new Error("no endpoint");
  await using channel = new Channel(toChannelTarget(endpoint, undefined));
  const asked = create(AuthenticateRequestSchema, { name: "root", password: "pw" });
  const answer = await channel.unaryCall(
    "/etcdserverpb.Auth/Authenticate",
    [],
    toBinary(AuthenticateRequestSchema, asked),
    {},
  );
  let { token } = fromBinary(AuthenticateResponseSchema, answer.payload);
  using service = new WatchService({
    balancer,
    findTransform: findNoTransform,
    clock: systemClock,
    limits: { total: 10, perConnection: 10, perStream: 10, pendingPerStream: 10 },
    logBytes: { maxTotalBytes: 1 << 20, maxLogBytes: 1 << 20 },
    progressNotifyIntervalMs: 600_000,
    createTimeoutMs: 60_000,
    stallTimeoutMs: 0,
    authRecheckMs: 60_000,
    authGraceMs: 60_000,
    names: new TokenNames(),
    onEvent: () => {},
    epochs: new Epochs(() => "epoch"),
  });
  const open = (): { door: PlainDoor; close: () => void } => {
    const door = new PlainDoor();
    const identity = { scope: "service", credential: () => token };
    const session = service.openSession(door, {
      identity,
      requiresLeader: false,
      connection: { watches: 0 },
    });
    session.onMessage(watchK);
    return {
      door,
      close: () => {
        session.close();
        service.closed(session);
      },
    };
  };

  const clients = [open(), open()];
  for (const { door } of clients) expect(await door.next()).toMatchObject({ created: true, canceled: false });
  expect([...service.scopes()]).toHaveLength(1);
  expect([...service.feeds()]).toHaveLength(1);
  await cluster.etcdctl(["put", "k", "v", "--user=root:pw"]);
  for (const { door } of clients) expect((await door.next()).events).toHaveLength(1);

  token = "forgotten";
  clients.push(open());
  expect(await clients[2]?.door.next()).toMatchObject({ canceled: true });
  for (const { close } of clients) close();
  expect([...service.scopes()]).toEqual([]);
});
