import type { HeaderView } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { PermissionBook } from "../src/permission/permission-book.ts";
import { Revocation } from "../src/permission/revocation.ts";
import type { PermissionSource } from "../src/permission/verdict.ts";
import { ProbeError } from "../src/watch/probe-flight.ts";
import type { WatchDesk } from "../src/watch/watch-desk.ts";
import { settle } from "./fake-clock.ts";
import { header, roomy, ScriptedClient, ScriptedHub } from "./scripted-hub.ts";

const denied = new ProbeError(7, "etcdserver: permission denied");
const invalid = new ProbeError(16, "etcdserver: invalid auth token");
const old = new ProbeError(3, "etcdserver: revision of auth store is old");
const silent = new ProbeError(14, "etcdserver: request timed out");
const deniedText = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
const graceMs = 30_000;

/** A client whose watches hang on our identity's feeds, where that and the client's own credential let it. */
class World {
  readonly own = new ScriptedHub();
  /** Of our identity, on the same clock. */
  readonly shared = new ScriptedHub(roomy, this.own.clock);
  readonly desk: WatchDesk;
  readonly client: ScriptedClient;
  readonly revocation: Revocation;
  revoked = 0;
  /** How etcd answers the client's credential; nothing for "allowed". */
  error: ProbeError | undefined;
  byName: boolean | undefined;
  expiresByItself = false;

  constructor() {
    const { clock } = this.own;
    this.own.probe = (): Promise<HeaderView> =>
      this.error === undefined ? Promise.resolve(header(100n)) : Promise.reject(this.error);
    const book = new PermissionBook({ clock, rememberMs: 5_000, ask: (range) => this.own.hub.probe(range) });
    this.desk = {
      own: this.own.hub,
      shared: this.shared.hub,
      known: 1_000n,
      decide: (range) => book.decide(range),
    };
    const world = this;
    const source: PermissionSource = {
      ask: (range) => this.own.hub.probe(range),
      askByName: () => Promise.resolve(this.byName),
      get expiresByItself() {
        return world.expiresByItself;
      },
    };
    this.client = new ScriptedClient(this.own, undefined, this.desk);
    this.revocation = new Revocation({
      clock,
      source,
      book,
      sessions: () => [this.client.session],
      isOwn: (watcher) => watcher.hub === this.own.hub,
      isUniform: false,
      graceMs,
      onRevoked: (watches) => {
        this.revoked += watches;
      },
    });
  }

  /** A watch of `k` from now on. */
  async watch(): Promise<void> {
    this.client.create("k");
    await settle();
    (this.shared.opened.at(-1) ?? this.own.opened.at(-1))?.created(100n);
    await settle();
  }

  get last(): string | undefined {
    return this.client.control.at(-1);
  }
}

describe("permission before what is shared", () => {
  it("hangs watches on our identity's feed, where the client may read", async () => {
    const world = new World();
    await world.watch();
    expect(world.own.opened).toHaveLength(0);
    world.shared.last.say(["k@101"]);
    expect(world.client.events).toEqual(["k@101"]);
  });

  it("refuses who may not, in etcd's words, and opens nothing", async () => {
    const world = new World();
    world.error = denied;
    world.client.create("k");
    await settle();
    expect(world.last).toBe(`refused -1 at 100 ${deniedText}`);
    expect([world.own.opened.length, world.shared.opened.length]).toEqual([0, 0]);
  });

  it("takes the client's own credential where ours is refused, at once and later", async () => {
    const world = new World();
    world.shared.probe = () => Promise.reject(denied);
    world.client.create("k");
    await settle();
    expect([world.own.opened.length, world.shared.opened.length]).toEqual([1, 0]);

    const later = new World();
    await later.watch();
    later.shared.last.say(["k@101"]);
    later.shared.last.sink.onEnd({ t: "refused", reason: deniedText });
    await settle();
    expect(later.client.control).toEqual(["created 0 at 100"]); // a refusal of ours is not the client's
    later.own.last.created(101n);
    later.own.last.say(["k@101", "k@102"]);
    expect(later.client.events).toEqual(["k@101", "k@102"]);
  });
});

describe("rule 18: live watches", () => {
  it("end with etcd's words when the client may no longer read", async () => {
    const world = new World();
    await world.watch();
    await world.revocation.run();
    expect(world.client.control).toEqual(["created 0 at 100"]);
    world.error = denied;
    await world.revocation.run();
    expect(world.last).toBe(`canceled 0 at 100 ${deniedText}`);
    expect(world.revoked).toBe(1);
    expect(world.shared.hub.isIdle).toBe(true);
  });

  it.each<[string, ProbeError, boolean | undefined, boolean, string]>([
    ["go on when the token is old and the user may read", old, true, true, "created 0 at 100"],
    ["go on when it is old and nobody can say more", old, undefined, true, "created 0 at 100"],
    ["go on when a JWT has expired and nobody can say more", invalid, undefined, true, "created 0 at 100"],
    ["end when it is old and the user may not read", old, false, true, `canceled 0 at 100 ${deniedText}`],
    [
      "end when it is used up and the user may not read",
      invalid,
      false,
      false,
      `canceled 0 at 100 ${deniedText}`,
    ],
    [
      "end when a simple token is known nowhere any more",
      invalid,
      undefined,
      false,
      "canceled 0 at 100 rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
    ],
  ])("%s", async (_, error, byName, expiresByItself, last) => {
    const world = new World();
    await world.watch();
    Object.assign(world, { error, byName, expiresByItself });
    await world.revocation.run();
    expect(world.last).toBe(last);
  });

  it("wait without an answer, and get everything when there is one", async () => {
    const world = new World();
    await world.watch();
    world.error = silent;
    await world.revocation.run();
    world.shared.last.say(["k@101"]);
    expect(world.client.events).toEqual([]);
    await world.own.clock.advance(graceMs - 1);
    await world.revocation.run();
    world.error = undefined;
    await world.revocation.run();
    await settle();
    world.shared.opened.at(-1)?.created(100n);
    world.shared.opened.at(-1)?.say(["k@101", "k@102"]);
    expect(world.client.events).toEqual(["k@101", "k@102"]);
  });

  it("are cancelled when there is none for --auth-grace", async () => {
    const world = new World();
    await world.watch();
    world.error = silent;
    await world.revocation.run();
    await world.own.clock.advance(graceMs);
    await world.revocation.run();
    expect(world.last).toBe(
      "canceled 0 at 100 rpc error: code = Unavailable desc = etcd-edge: etcd did not say whether this may be read",
    );
  });

  it("of the client's own credential are etcd's to end: silence does not", async () => {
    const world = new World();
    world.shared.probe = () => Promise.reject(denied);
    await world.watch();
    world.own.last.created(100n);
    await settle();
    world.error = silent;
    await world.revocation.run();
    await world.own.clock.advance(graceMs);
    await world.revocation.run();
    world.own.last.say(["k@101"]);
    expect(world.client.events).toEqual(["k@101"]);
  });
});
