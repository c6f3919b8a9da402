import { create, RangeRequestSchema, toBinary } from "@etcd-edge/proto";
import { beforeEach, describe, expect, it } from "vitest";
import type { ReadFailure } from "../src/read/ports.ts";
import { findShareable } from "../src/read/read-hub.ts";
import { ReadsUnderUser } from "../src/read/reads-under-user.ts";
import { settle } from "./fake-clock.ts";
import { bytes } from "./scripted-hub.ts";
import { Caller, ScriptedReads } from "./scripted-reads.ts";

const rememberMs = 5_000;
const denied = { code: 7, message: "etcdserver: permission denied" };

describe("rule 28: reads of all who may read the same", () => {
  let own: ScriptedReads;
  let ours: ScriptedReads;
  let reads: ReadsUnderUser;
  let token: string | undefined;
  let refusals: ReadFailure[];

  beforeEach(() => {
    own = new ScriptedReads();
    ours = new ScriptedReads({ clock: own.clock });
    token = "ours";
    refusals = [];
    reads = new ReadsUnderUser({
      ...{ clock: own.clock, rememberMs, own: own.hub, ours: ours.hub },
      credential: () => token,
      ask: () => Promise.resolve(),
      onRefused: (failure) => refusals.push(failure),
    });
  });

  function read(credential: string | undefined, key = "k", hasLeader = false): Caller {
    const request = toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: bytes(key) }));
    const shape = findShareable(request);
    if (shape === undefined) throw new Error("not shareable");
    const caller = new Caller();
    caller.leave = reads.read({ credential, hasLeader }, shape, {
      request,
      deadlineMs: undefined,
      settle: (result) => {
        if (caller.result !== undefined) throw new Error("settled twice");
        caller.result = result;
      },
    });
    return caller;
  }

  /** Reads once under its own credential. */
  async function admit(credential: string): Promise<void> {
    read(credential);
    await settle();
    own.first.answer();
  }

  it("are one, under our identity, once etcd has answered each of them", async () => {
    for (const user of ["ann", "bob"]) await admit(user);
    const callers = [read("ann"), read("bob"), read("ann", "k", true)];
    const stranger = read("eve");
    await settle();
    expect(ours.air.map(({ read: { scope } }) => [scope.credential, scope.hasLeader])).toEqual([
      ["ours", false],
      ["ours", true],
    ]);
    expect(own.air.map(({ read: { scope } }) => scope.credential)).toEqual(["eve"]);
    own.first.refuse(denied.code, denied.message);
    for (const flying of [...ours.air]) flying.answer();
    expect(callers.map(({ seen }) => seen)).toEqual(Array(3).fill("100: k@100"));
    expect([stranger.seen, reads.shared]).toEqual(["7 etcdserver: permission denied", 3]);
  });

  it("rule 18: go under their own again when that was too long ago, or users and roles have changed", async () => {
    await admit("ann");
    reads.forgetPermissions();
    await admit("ann");
    await own.clock.advance(rememberMs);
    await admit("ann");
    expect(reads.shared).toBe(0);
  });

  it("rule 18: what etcd refuses us is asked as the client, and not of us again for a while", async () => {
    await admit("ann");
    const caller = read("ann");
    await settle();
    ours.first.refuse(denied.code, denied.message);
    await settle();
    own.first.answer();
    expect([caller.seen, refusals]).toEqual(["100: k@100", [denied]]);
    await admit("ann");
    expect(reads.shared).toBe(1);
  });

  it("without a token of ours, and of who shows no credential, all go as they came", async () => {
    await admit("ann");
    read(undefined);
    token = undefined;
    read("ann");
    await settle();
    expect(own.air.map(({ read: { scope } }) => scope.credential)).toEqual([undefined, "ann"]);
  });
});
