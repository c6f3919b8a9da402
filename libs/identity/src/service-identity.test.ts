import type { ChannelBalancer } from "@etcd-edge/endpoints";
import { Auth, toGrpcJsService } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { CallError, type RawMetadata } from "@etcd-edge/transport";
import { expect, it } from "vitest";
import { tokenToShow } from "./connection-credential.ts";
import { ServiceCertificate } from "./service-certificate.ts";
import { ServiceIdentity } from "./service-identity.ts";

const auth = toGrpcJsService(Auth);

/** An etcd that answers as it is told, and the identity of a certificate toward it. */
function createWorld() {
  const world = {
    /** To `UserGet`; an empty text is a user. */
    says: "" as string,
    code: 3,
    asked: [] as { path: string; metadata: RawMetadata }[],
    refusals: [] as string[],
    timers: [] as (() => void)[],
  };
  const unaryCall = (path: string, metadata: RawMetadata): Promise<{ payload: Buffer }> => {
    world.asked.push({ path, metadata });
    const { says: message, code } = world;
    if (message !== "")
      return Promise.reject(new CallError({ code, message, metadata: [], progress: "answered" }));
    return Promise.resolve({ payload: Buffer.alloc(0) });
  };
  // The two methods that it is used by.
  const balancer = { pick: () => ({ calls: { unaryCall } }) } as unknown as ChannelBalancer;
  const clock: Clock = {
    nowMs: () => 0,
    setTimer: (_delayMs, fire) => {
      world.timers.push(fire);
      return { stop: () => {} };
    },
  };
  const identity = new ServiceIdentity({
    ...{ balancer, clock, own: new ServiceCertificate("edge"), onAuthChanged: () => {} },
    onRefused: (error) => void world.refusals.push(error instanceof Error ? error.message : String(error)),
  });
  return { world, identity };
}

it("rule 8: a certificate's identity shows no token, and is somebody all the same", async () => {
  const { world, identity } = createWorld();
  await identity.tried;
  expect(identity.isReady).toBe(true);
  expect(world.asked[0]).toEqual({ path: auth.userGet.path, metadata: [] });
  // Whoever shares under it is told apart from who shows nothing.
  expect(identity.credential()).toBeDefined();
  expect(tokenToShow(identity.credential())).toBeUndefined();
  expect(tokenToShow("a.token")).toBe("a.token");
});

it.each([
  ["etcdserver: user name is empty", "etcd takes no user from certificates: it needs --client-cert-auth"],
  ["etcdserver: user name not found", 'etcd has no user "edge"'],
])("does nothing as its user while etcd says %s, tells so once, and asks again", async (says, told) => {
  const { world, identity } = createWorld();
  world.says = says;
  await identity.refresh();
  await identity.refresh();
  expect(identity.isReady).toBe(false);
  expect(identity.credential()).toBeUndefined();
  expect(world.refusals).toEqual([told]);
  world.says = "";
  world.timers.at(-1)?.();
  await identity.refresh();
  expect(identity.isReady).toBe(true);
});

it("is ready where etcd denies it to be asked about: that is somebody's answer", async () => {
  const { world, identity } = createWorld();
  Object.assign(world, { says: "etcdserver: permission denied", code: 7 });
  await identity.refresh();
  expect(identity.isReady).toBe(true);
});

it("says nothing of an etcd that is away, and asks again", async () => {
  const { world, identity } = createWorld();
  Object.assign(world, { says: "connection refused", code: 14 });
  await identity.refresh();
  expect(identity.isReady).toBe(false);
  expect(world.refusals).toEqual([]);
  expect(world.timers).not.toEqual([]);
});

it.each([
  [12, "--auth-jwt-key needs --user with etcd 3.4, not --user-cert"],
  [7, "--auth-jwt-key with --user-cert needs the role root before etcd 3.7"],
])("rule 38: tells why etcd does not say its auth revision to it, code %i", async (code, told) => {
  const { world, identity } = createWorld();
  await identity.tried;
  Object.assign(world, { says: "refused", code });
  await expect(identity.authRevision()).rejects.toThrow(told);
});

it("rule 18: users and roles are looked at from the moment on in which it can act", async () => {
  const { world, identity } = createWorld();
  await identity.tried;
  expect(world.asked.map(({ path }) => path)).toEqual([auth.userGet.path, auth.authStatus.path]);
  expect(world.asked.every(({ metadata }) => metadata.length === 0)).toBe(true);
});
