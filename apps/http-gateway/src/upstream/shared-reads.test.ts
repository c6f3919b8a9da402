import { ReadHub, type ReadMembers, type UpstreamEnd, type UpstreamRead } from "@etcd-edge/coalesce";
import {
  create,
  fromBinary,
  RangeRequestSchema,
  RangeResponseSchema,
  rpcOf,
  TxnRequestSchema,
  toBinary,
} from "@etcd-edge/proto";
import { systemClock } from "@etcd-edge/runtime";
import { beforeEach, describe, expect, it } from "vitest";
import { ClientPresence } from "../http/client-presence.ts";
import { createSharedReads } from "./shared-reads.ts";
import { type Metadata, type Upstream, UpstreamError } from "./upstream.ts";

const rpc = rpcOf("/etcdserverpb.KV/Range");
const range = (key: string, serializable = false) =>
  toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: Buffer.from(key), serializable }));

let flights: { read: UpstreamRead; end: (end: UpstreamEnd) => void }[];
let own: Metadata[];
let reads: Upstream;

const members: ReadMembers<string> = {
  pick: () => "m1",
  takesTxn: () => true,
  send: (_member, read, end) => {
    flights.push({ read, end });
    return () => {};
  },
};
const inner: Upstream = {
  unary: async (call) => {
    own.push(call.metadata);
    return { message: new Uint8Array(), headers: [] };
  },
  open: () => Promise.reject(new Error("no streams here")),
};

beforeEach(() => {
  flights = [];
  own = [];
  const hub = new ReadHub({ members, clock: systemClock, defer: (callback) => process.nextTick(callback) });
  reads = createSharedReads(inner, { hub, clock: systemClock });
});

const ask = (
  request: Uint8Array,
  more: { metadata?: Metadata; timeoutMs?: number; presence?: ClientPresence } = {},
) => {
  const { metadata = [], timeoutMs, presence = new ClientPresence() } = more;
  return reads.unary({ rpc, metadata, timeoutMs, presence }, request);
};
const turn = () => new Promise((resolve) => setImmediate(resolve));
const answer = (count: bigint): UpstreamEnd => ({
  t: "answered",
  payload: toBinary(RangeResponseSchema, create(RangeResponseSchema, { count })),
});

describe("shared reads", () => {
  it("rule 28: equal ones that wait together are one, those that come later are another", async () => {
    const first = [ask(range("a")), ask(range("a"))];
    await turn();
    expect(flights).toHaveLength(1);
    const late = ask(range("a"));
    await turn();
    flights[0]?.end(answer(1n));
    for (const one of first) expect(fromBinary(RangeResponseSchema, (await one).message).count).toBe(1n);
    await expect.poll(() => flights.length).toBe(2);
    flights[1]?.end(answer(2n));
    expect(fromBinary(RangeResponseSchema, (await late).message).count).toBe(2n);
  });

  it("rule 27: different small ones travel together", async () => {
    void ask(range("a")).catch(() => {});
    void ask(range("b")).catch(() => {});
    await turn();
    expect(flights.map(({ read }) => read.kind)).toEqual(["txn"]);
    expect(fromBinary(TxnRequestSchema, flights[0]?.read.request ?? new Uint8Array()).success).toHaveLength(
      2,
    );
  });

  it("are never those of two credentials, and show etcd the caller's", async () => {
    void ask(range("a"), { metadata: ["token", "ann"] }).catch(() => {});
    void ask(range("a"), { metadata: ["authorization", "bob"] }).catch(() => {});
    await turn();
    expect(flights.map(({ read }) => read.scope.credential).sort()).toEqual(["ann", "bob"]);
  });

  it.each([
    ["a serializable read", range("a", true), []],
    ["a read with metadata of its own", range("a"), ["x-trace", "1"]],
    ["what is no RangeRequest", Uint8Array.of(0xff), []],
  ])("are not %s", async (_, request, metadata) => {
    await ask(request, { metadata });
    expect(own).toEqual([metadata]);
    expect(flights).toEqual([]);
  });

  it("end for each caller by itself: by its deadline, when it goes, and with etcd's word", async () => {
    const presence = new ClientPresence();
    const failureOf = (read: Promise<unknown>) =>
      read.then(
        () => undefined,
        (error: unknown) => error,
      );
    const left = failureOf(ask(range("a"), { presence }));
    const late = failureOf(ask(range("a"), { timeoutMs: 1 }));
    const refused = failureOf(ask(range("a")));
    await turn();
    presence.leave();
    expect(await left).toMatchObject({ status: 1 });
    expect(await late).toMatchObject({ status: 4, message: "context deadline exceeded" });
    flights[0]?.end({ t: "refused", failure: { code: 7, message: "etcdserver: permission denied" } });
    expect(await refused).toBeInstanceOf(UpstreamError);
    expect(await refused).toMatchObject({ status: 7, origin: "server" });
  });
});
