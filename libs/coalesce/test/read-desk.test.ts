import { create, RangeRequestSchema, toBinary } from "@etcd-edge/proto";
import { beforeEach, describe, expect, it } from "vitest";
import type { CacheScope } from "../src/cache/cached-read.ts";
import { createRangePlan, type RangePlan } from "../src/cache/range-plan.ts";
import { ReadCache } from "../src/cache/read-cache.ts";
import { ReadDesk, type Reader, type ReadScopePlans } from "../src/cache/read-desk.ts";
import { ReadPermissions } from "../src/permission/read-permissions.ts";
import { toLatin1 } from "../src/range/bytes.ts";
import type { ReadFailure } from "../src/read/ports.ts";
import { settle } from "./fake-clock.ts";
import { bytes } from "./scripted-hub.ts";
import { Caller, ScriptedReads } from "./scripted-reads.ts";

const recheckMs = 5_000;
const denied = { code: 7, message: "etcdserver: permission denied" };

/** Clients with credentials of their own before one etcd, and an identity of ours. */
class World {
  readonly clients: ScriptedReads = new ScriptedReads();
  readonly service: ScriptedReads = new ScriptedReads({ clock: this.clients.clock });
  readonly refusals: ReadFailure[] = [];
  readonly readers = new Map<string, Reader>();
  hasIdentity = true;
  readonly desk: ReadDesk;
  readonly #ours = this.#scope({
    id: "service/root",
    read: { credential: "ours", hasLeader: false, isOurs: true },
  });

  constructor() {
    const { clock } = this.clients;
    const cache = new ReadCache({
      clock,
      reads: {
        read: (scope, shape, read) =>
          (scope.isOurs === true ? this.service : this.clients).hub.read(scope, shape, read),
      },
      toRequest: (request) => request,
      limits: { feeds: 0, recheckMs },
    });
    this.desk = new ReadDesk({
      ...{ cache, clock, refusedMs: recheckMs },
      ours: () => (this.hasIdentity ? this.#ours : undefined),
      onRefused: (failure) => this.refusals.push(failure),
    });
  }

  #scope(scope: Omit<CacheScope, "openHub">): ReadScopePlans & { readonly scope: CacheScope } {
    const plans = new Map<string, RangePlan | undefined>();
    const planOf = (payload: Uint8Array): RangePlan | undefined => {
      const key = toLatin1(payload);
      if (!plans.has(key)) plans.set(key, createRangePlan(payload, payload));
      return plans.get(key);
    };
    const openHub = (): never => {
      throw new Error("nothing is held here");
    };
    return { scope: { ...scope, openHub }, planOf };
  }

  reader(credential: string): Reader {
    const known = this.readers.get(credential);
    if (known !== undefined) return known;
    const goesAlone = credential.startsWith("cn:");
    const permissions = new ReadPermissions({
      clock: this.clients.clock,
      rememberMs: recheckMs,
      asksFirst: goesAlone,
      ask: () => Promise.resolve(),
    });
    const reader: Reader = {
      ...this.#scope({ id: credential, read: { credential, hasLeader: false } }),
      permissions,
      ...(goesAlone && { goesAlone }),
    };
    this.readers.set(credential, reader);
    return reader;
  }

  read(credential: string, key: string, isSerializable = false, revision = 0n): Caller {
    const caller = this.tryRead(credential, key, isSerializable, revision);
    if (caller === undefined) throw new Error("it goes alone");
    return caller;
  }

  tryRead(credential: string, key: string, isSerializable = false, revision = 0n): Caller | undefined {
    const request = create(RangeRequestSchema, { key: bytes(key), serializable: isSerializable, revision });
    const payload = toBinary(RangeRequestSchema, request);
    const reader = this.reader(credential);
    const seat = this.desk.seat(reader, payload);
    if (seat === undefined) return undefined;
    const caller = new Caller();
    const settleOnce = (result: Caller["result"]): void => {
      if (caller.result !== undefined) throw new Error("settled twice");
      caller.result = result;
    };
    const now = this.desk.answerNow(seat, 0n);
    if (now !== undefined) settleOnce(now);
    else caller.leave = this.desk.read(seat, { floor: 0n, deadlineMs: undefined, settle: settleOnce });
    return caller;
  }

  /** Reads under its own credential once, so that it may share from now on. */
  async admit(credential: string, key: string): Promise<void> {
    const caller = this.read(credential, key);
    await settle();
    this.clients.first.answer();
    expect(caller.seen).toBeDefined();
  }
}

describe("rule 28: under whose name a read goes", () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });

  it("under the client's own at first, then under ours, where many users are one read", async () => {
    for (const user of ["ann", "bob", "eve"]) await world.admit(user, "k");
    const callers = ["ann", "bob", "eve"].map((user) => world.read(user, "k"));
    await settle();
    expect(world.clients.air).toEqual([]);
    expect(world.service.flying).toEqual([["k"]]);
    expect(world.service.first.read.scope.credential).toBe("ours");
    world.service.first.answer();
    expect(callers.map(({ seen }) => seen)).toEqual(Array(3).fill("100: k@100"));
    expect(world.desk).toMatchObject({ shared: 3, refusals: 0 });
  });

  it("rule 18: under the client's own again, as soon as the permission is too old or users have changed", async () => {
    await world.admit("ann", "k");
    await world.clients.clock.advance(recheckMs);
    await world.admit("ann", "k"); // it is in the air under her own name
    world.reader("ann").permissions?.forget();
    const caller = world.read("ann", "k");
    await settle();
    world.clients.first.refuse(denied.code, denied.message);
    expect(caller.seen).toBe("7 etcdserver: permission denied");
    expect(world.service.air).toEqual([]);
  });

  it("never for what etcd has not allowed that client: others' answers are not for it", async () => {
    await world.admit("ann", "k");
    const [shared, refused, other] = [world.read("ann", "k"), world.read("bob", "k"), world.read("ann", "j")];
    await settle();
    expect(world.service.flying).toEqual([["k"]]);
    expect(world.clients.air.map(({ read, keys }) => [read.scope.credential, keys])).toEqual([
      ["bob", ["k"]],
      ["ann", ["j"]],
    ]);
    world.clients.first.refuse(denied.code, denied.message);
    world.service.first.answer();
    world.clients.first.answer();
    expect([shared.seen, refused.seen, other.seen]).toEqual([
      "100: k@100",
      "7 etcdserver: permission denied",
      "100: j@100",
    ]);
    const again = world.read("bob", "k");
    await settle();
    expect(world.service.air).toEqual([]);
    again.leave();
  });

  it.each([
    denied,
    { code: 16, message: "etcdserver: invalid auth token" },
    { code: 3, message: "etcdserver: revision of auth store is old" },
  ])(
    "rule 18: what etcd says of us, %s, is told to no client, and not asked for again for a while",
    async (failure) => {
      await world.admit("ann", "k");
      const caller = world.read("ann", "k");
      await settle();
      world.service.first.refuse(failure.code, failure.message);
      await settle();
      expect(world.clients.flying).toEqual([["k"]]);
      world.clients.first.answer();
      expect(caller.seen).toBe("100: k@100");
      expect(world.refusals).toEqual([failure]);
      const next = world.read("ann", "k");
      await settle();
      expect([world.service.flying, world.clients.flying]).toEqual([[], [["k"]]]);
      world.clients.first.answer();
      expect(next.seen).toBe("100: k@100");
      await world.clients.clock.advance(recheckMs);
      await world.admit("ann", "k");
      world.read("ann", "k");
      await settle();
      expect(world.service.flying).toEqual([["k"]]);
    },
  );

  it("tells what etcd says of the read itself as it is, and asks nobody else", async () => {
    await world.admit("ann", "k");
    const caller = world.read("ann", "k");
    await settle();
    world.service.first.refuse(14, "etcdserver: request timed out");
    await settle();
    expect(caller.seen).toBe("14 etcdserver: request timed out");
    expect([world.clients.air, world.refusals]).toEqual([[], []]);
  });

  it("who leaves is gone, also after we were refused", async () => {
    await world.admit("ann", "k");
    const caller = world.read("ann", "k");
    await settle();
    world.service.first.refuse(denied.code, denied.message);
    await settle();
    caller.leave();
    expect(world.clients.air).toEqual([]);
    expect(caller.result).toBeUndefined();
  });

  it("an answer at a revision that one user's read brought is another's, once that one may read it", async () => {
    for (const user of ["ann", "bob"]) await world.admit(user, "k");
    const first = world.read("ann", "k", true, 90n);
    await settle();
    world.service.first.answer();
    expect(first.seen).toBe("100: k@100");
    expect(world.read("bob", "k", true, 90n).result?.t).toBe("answered");
    const stranger = world.read("eve", "k", true, 90n);
    await settle();
    expect(stranger.result).toBeUndefined();
    expect(world.clients.first.read.scope.credential).toBe("eve");
  });

  it("who has no token of etcd's goes alone until it is known what it may read, and when we are refused", async () => {
    expect(world.tryRead("cn:pod", "k")).toBeUndefined(); // it is asked about, and nobody waits for that
    await settle();
    await world.admit("ann", "k");
    const callers = [world.read("cn:pod", "k"), world.read("ann", "k")];
    await settle();
    expect([world.clients.flying, world.service.flying]).toEqual([[], [["k"]]]);
    world.service.first.refuse(denied.code, denied.message);
    await settle();
    expect(callers[0]?.seen).toBe("aside");
    expect(world.clients.air.map(({ read }) => read.scope.credential)).toEqual(["ann"]);
  });

  it("there is none of ours: all read under their own", async () => {
    world.hasIdentity = false;
    for (const user of ["ann", "bob"]) await world.admit(user, "k");
    const callers = ["ann", "bob"].map((user) => world.read(user, "k"));
    await settle();
    expect(world.clients.air.map(({ read }) => read.scope.credential)).toEqual(["ann", "bob"]);
    for (const flying of [...world.clients.air]) flying.answer();
    expect(callers.map(({ seen }) => seen)).toEqual(["100: k@100", "100: k@100"]);
  });
});
