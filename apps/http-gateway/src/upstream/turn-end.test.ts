import {
  findShareable,
  ReadHub,
  type ReadMembers,
  type ReadResult,
  type UpstreamEnd,
} from "@etcd-edge/coalesce";
import { create, RangeRequestSchema, RangeResponseSchema, toBinary } from "@etcd-edge/proto";
import { systemClock } from "@etcd-edge/runtime";
import { beforeEach, expect, it } from "vitest";
import { createTurnEnd, landAtTurnEnd } from "./turn-end.ts";

const request = toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: Buffer.from("a") }));
const shape = findShareable(request);
if (shape === undefined) throw new Error("a plain read can be shared");
const scope = { credential: undefined, hasLeader: false };

/** What happened, in order. */
let log: string[];
let flights: { end: (end: UpstreamEnd) => void }[];
let hub: ReadHub<string>;

beforeEach(() => {
  log = [];
  flights = [];
  const turnEnd = createTurnEnd(() => log.push("flush"));
  const members: ReadMembers<string> = {
    pick: () => "m1",
    takesTxn: () => true,
    send: (_member, _read, end) => {
      log.push("sent");
      flights.push({ end });
      return () => log.push("given up");
    },
  };
  hub = new ReadHub({ members: landAtTurnEnd(members, turnEnd), clock: systemClock, defer: turnEnd });
});

const read = (name: string): (() => void) =>
  hub.read(scope, shape, {
    request,
    deadlineMs: undefined,
    settle: (result: ReadResult) => log.push(`${name}: ${result.t}`),
  });
const turn = () => new Promise((resolve) => setImmediate(resolve));
const payload = toBinary(RangeResponseSchema, create(RangeResponseSchema, { header: { revision: 7n } }));

it("reads of one turn leave as one when it ends, and are written at once", async () => {
  read("first");
  await Promise.resolve();
  process.nextTick(() => read("second"));
  await turn();
  expect(log).toEqual(["sent", "flush"]);
  flights[0]?.end({ t: "answered", payload });
  await turn();
  expect(log.slice(2)).toEqual(["first: answered", "second: answered", "flush"]);
});

it("rule 28: what comes in the turn in which a flight lands, before it or after, gets the next flight's answer and not this one's", async () => {
  read("old");
  await turn();
  log = [];
  read("before");
  flights[0]?.end({ t: "answered", payload });
  read("after");
  await turn();
  expect(log).toEqual(["old: answered", "sent", "flush"]);
  flights[1]?.end({ t: "answered", payload });
  await turn();
  expect(log.slice(3)).toEqual(["before: answered", "after: answered", "flush"]);
});

it("an answer that has come for what was given up in the same turn goes nowhere", async () => {
  const leave = read("gone");
  await turn();
  flights[0]?.end({ t: "answered", payload });
  leave();
  await turn();
  expect(log).toEqual(["sent", "flush", "given up", "flush"]);
});
