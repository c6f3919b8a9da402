import {
  etcdErrors,
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as Target,
} from "@etcd-edge/proto";
import { expect } from "vitest";
import { bytes, type Context } from "../../src/context.ts";
import { kv, lease } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { prefixOf } from "../watch/watch-session.ts";
import { put, putTogether } from "../writes.ts";
import { expectError, expectWholeHeader, namesOf } from "./expectations.ts";

/** Range, Put, DeleteRange, Compact. */
export function describeKeyValues(behave: Behave): void {
  behave("every answer has a whole header; its revision is that of the write", async ({ etcd, key }) => {
    const written = await etcd.ask(kv.put, { key: key("a"), value: bytes("1") });
    const read = await etcd.ask(kv.range, { key: key("a") });
    const deleted = await etcd.ask(kv.deleteRange, { key: key("a") });
    const nothing = await etcd.ask(kv.deleteRange, { key: key("a") });
    for (const answer of [written, read, deleted, nothing]) expectWholeHeader(answer);
    const revision = written.header?.revision ?? 0n;
    expect(read.header?.revision).toBe(revision);
    expect(read.kvs[0]).toMatchObject({ key: key("a"), createRevision: revision, modRevision: revision });
    expect(deleted.header?.revision).toBe(revision + 1n);
    expect(nothing.header?.revision).toBe(revision + 1n);
    expect([deleted.deleted, nothing.deleted]).toEqual([1n, 0n]);
  });

  behave("a key must be given", async ({ etcd }) => {
    await expectError(etcd.refusal(kv.put, { value: bytes("1") }), etcdErrors.emptyKey);
    await expectError(etcd.refusal(kv.range, {}), etcdErrors.emptyKey);
    await expectError(etcd.refusal(kv.deleteRange, {}), etcdErrors.emptyKey);
  });

  behave("a request past the limit of etcd is too large, one of 1 MiB is not", async ({ etcd, key }) => {
    const value = Buffer.alloc(1_624 * 1_024, 120);
    await expectError(etcd.refusal(kv.put, { key: key("a"), value }), etcdErrors.requestTooLarge);
    await etcd.ask(kv.put, { key: key("a"), value: value.subarray(0, 1 << 20) });
    expect((await etcd.ask(kv.range, { key: key("a") })).kvs[0]?.value).toHaveLength(1 << 20);
  });

  behave("an answer may be larger than any request", async ({ etcd, key }) => {
    const value = Buffer.alloc(1_000_000, 120);
    for (const name of ["a", "b", "c", "d", "e", "f"]) await etcd.ask(kv.put, { key: key(name), value });
    const { kvs } = await etcd.ask(kv.range, { key: key("a"), rangeEnd: key("g") });
    expect(kvs.map((one) => one.value.length)).toEqual(Array(6).fill(value.length));
    await etcd.ask(kv.deleteRange, { key: key("a"), rangeEnd: key("g") });
  });

  behave("a put may keep the value or the lease, of a key that is there", async ({ etcd, key }) => {
    const { ID } = await etcd.ask(lease.leaseGrant, { TTL: 600n });
    const missing = key("missing");
    await expectError(etcd.refusal(kv.put, { key: missing, ignoreValue: true }), etcdErrors.keyNotFound);
    await expectError(etcd.refusal(kv.put, { key: missing, ignoreLease: true }), etcdErrors.keyNotFound);
    const both = { key: key("a"), value: bytes("1"), ignoreValue: true };
    await expectError(etcd.refusal(kv.put, both), etcdErrors.valueProvided);
    await expectError(
      etcd.refusal(kv.put, { key: key("a"), lease: ID, ignoreLease: true }),
      etcdErrors.leaseProvided,
    );
    await etcd.ask(kv.put, { key: key("a"), value: bytes("1"), lease: ID });
    await etcd.ask(kv.put, { key: key("a"), value: bytes("2"), ignoreLease: true });
    const { prevKv } = await etcd.ask(kv.put, { key: key("a"), ignoreValue: true, prevKv: true });
    expect(prevKv).toMatchObject({ value: bytes("2"), lease: ID, version: 2n });
    expect((await etcd.ask(kv.range, { key: key("a") })).kvs[0]).toMatchObject({
      value: bytes("2"),
      lease: 0n,
      version: 3n,
    });
    await etcd.ask(lease.leaseRevoke, { ID });
  });

  behave("prev_kv of a put is what was there, and absent where nothing was", async ({ etcd, key }) => {
    const request = { key: key("a"), value: bytes("1"), prevKv: true };
    expect((await etcd.ask(kv.put, request)).prevKv).toBeUndefined();
    expect((await etcd.ask(kv.put, request)).prevKv).toMatchObject({ key: key("a"), value: bytes("1") });
  });

  behave("limit cuts the answer and not the count", async (context) => {
    const { etcd } = context;
    await putTogether(context, ["a", "b", "c", "d"]);
    const range = { key: context.key("a"), rangeEnd: context.key("z") };
    const cut = await etcd.ask(kv.range, { ...range, limit: 3n });
    expect(namesOf(context, cut.kvs)).toEqual(["a", "b", "c"]);
    expect([cut.more, cut.count]).toEqual([true, 4n]);
    const whole = await etcd.ask(kv.range, { ...range, limit: 4n });
    expect([whole.more, whole.kvs.length]).toEqual([false, 4]);
  });

  behave("keys only has no values, count only no keys, and both are count only", async (context) => {
    await putTogether(context, ["a", "b"]);
    const range = { key: context.key("a"), rangeEnd: context.key("z") };
    const keys = await context.etcd.ask(kv.range, { ...range, keysOnly: true });
    expect(namesOf(context, keys.kvs)).toEqual(["a", "b"]);
    expect(keys.kvs.map((one) => one.value.length)).toEqual([0, 0]);
    for (const keysOnly of [false, true]) {
      const counted = await context.etcd.ask(kv.range, { ...range, keysOnly, countOnly: true });
      expect([counted.count, counted.kvs.length]).toEqual([2n, 0]);
    }
  });

  behave("answers are sorted as asked", async (context) => {
    for (const [name, value] of [
      ["a", "3"],
      ["c", "1"],
      ["b", "2"],
      ["a", "9"],
    ] as const) {
      await put(context, name, value);
    }
    const sorted = async (sortTarget: Target, sortOrder: Order): Promise<string> => {
      const range = { key: context.key("a"), rangeEnd: context.key("z"), sortTarget, sortOrder };
      return namesOf(context, (await context.etcd.ask(kv.range, range)).kvs).join("");
    };
    expect(await sorted(Target.KEY, Order.DESCEND)).toBe("cba");
    expect(await sorted(Target.VALUE, Order.ASCEND)).toBe("cba");
    expect(await sorted(Target.CREATE, Order.ASCEND)).toBe("acb");
    expect(await sorted(Target.MOD, Order.DESCEND)).toBe("abc");
    expect(await sorted(Target.VERSION, Order.DESCEND)).toMatch(/^a/);
  });

  behave("a sort that the schema does not have is refused", async (context) => {
    // Straight at them it would end the processes of 3.4 and 3.5.
    if (context.open.place.door === "direct" && !context.has({ 3.6: 0 })) return;
    const range = { key: context.key("a"), rangeEnd: context.key("z"), sortOrder: Order.DESCEND };
    const lethal = { ...range, sortTarget: 99 as Target };
    await expectError(context.etcd.refusal(kv.range, lethal), etcdErrors.invalidSortOption);
    await put(context, "a");
  });

  behave("revisions bound what is answered", async (context) => {
    const first = await put(context, "a");
    const second = await put(context, "b");
    const third = await put(context, "a");
    const names = async (bounds: object): Promise<string> => {
      const range = { key: context.key("a"), rangeEnd: context.key("z"), ...bounds };
      return namesOf(context, (await context.etcd.ask(kv.range, range)).kvs).join("");
    };
    expect(await names({ minModRevision: third })).toBe("a");
    expect(await names({ maxModRevision: second })).toBe("b");
    expect(await names({ minCreateRevision: second })).toBe("b");
    expect(await names({ maxCreateRevision: first })).toBe("a");
  });

  behave("reads go back in history, and neither past its end nor before its beginning", async (context) => {
    const { etcd } = context;
    const first = await put(context, "a", "1");
    const last = await put(context, "a", "2");
    const at = (revision: bigint): { key: Buffer; revision: bigint } => ({ key: context.key("a"), revision });
    const old = await etcd.ask(kv.range, at(first));
    expect(old.kvs[0]).toMatchObject({ value: bytes("1"), modRevision: first });
    expect(old.header?.revision).toBe(last);
    await expectError(etcd.refusal(kv.range, at(last + 1_000n)), etcdErrors.futureRevision);
    expectWholeHeader(await etcd.ask(kv.compact, { revision: last, physical: true }));
    await expectError(etcd.refusal(kv.range, at(first)), etcdErrors.compacted);
    await expectError(etcd.refusal(kv.compact, { revision: last }), etcdErrors.compacted);
    await expectError(etcd.refusal(kv.compact, { revision: last + 1_000n }), etcdErrors.futureRevision);
    for (const serializable of [false, true]) {
      const now = await etcd.ask(kv.range, { ...at(last), serializable });
      expect(now.kvs[0]?.value).toEqual(bytes("2"));
    }
  });

  behave("serializable reads are answered too", async (context) => {
    await put(context, "a", "1");
    const read = { key: context.key("a"), serializable: true };
    // A member that lags may not have it yet.
    await expect.poll(async () => (await context.etcd.ask(kv.range, read)).kvs[0]?.value).toEqual(bytes("1"));
  });

  behave("ranges are deleted as they are read: points, prefixes, to the end, and none", async (context) => {
    const { etcd } = context;
    await putTogether(context, ["a", "b", "bb", "c", "y", "z"]);
    const remove = async (request: object): Promise<string> => {
      const { prevKvs, deleted } = await etcd.ask(kv.deleteRange, { prevKv: true, ...request });
      expect(deleted).toBe(BigInt(prevKvs.length));
      return namesOf(context, prevKvs).join(" ");
    };
    expect(await remove({ key: context.key("a") })).toBe("a");
    expect(await remove(prefixOf(context, "b"))).toBe("b bb");
    expect(await remove({ key: context.key("c"), rangeEnd: context.key("c") })).toBe("");
    expect(await remove({ key: context.key("c"), rangeEnd: context.key("y") })).toBe("c");
    expect(await remove({ key: context.key("y"), rangeEnd: prefixOf(context, "").rangeEnd })).toBe("y z");
  });

  behave("a deadline ends a call, and the connection goes on", async (context) => {
    const { etcd, key } = context;
    const { code } = await etcd.refusal(kv.range, { key: key("a") }, { deadlineMs: 0 });
    expect(code).toBe(4);
    await put(context, "a");
  });

  behave("an RPC that there is not is unimplemented", async ({ etcd, key, open }) => {
    const unknown = await etcd.refusal({ ...kv.range, path: "/etcdserverpb.KV/Nothing" }, { key: key("a") });
    const stranger = await etcd.refusal({ ...kv.range, path: "/strange.Service/Method" }, { key: key("a") });
    expect([unknown.code, stranger.code]).toEqual([12, 12]);
    // Under a namespace the proxy refuses by itself what it cannot scope, in words of its own.
    if (open.place.namespace !== "") return;
    expect(unknown.message).toBe("unknown method Nothing for service etcdserverpb.KV");
    expect(stranger.message).toBe("unknown service strange.Service");
  });

  behave("require-leader changes nothing while there is a leader", async ({ etcd, key }) => {
    const options = { metadata: { hasleader: "true" } };
    await etcd.ask(kv.put, { key: key("a"), value: bytes("1") }, options);
    expect((await etcd.ask(kv.range, { key: key("a") }, options)).count).toBe(1n);
  });

  behave("a read may be streamed from 3.7 on", async (context) => {
    const names = await putMany(context);
    using stream = context.etcd.stream(kv.rangeStream);
    stream.send({ key: context.key(""), rangeEnd: prefixOf(context, "").rangeEnd });
    stream.halfClose();
    if (context.has({ 3.7: 0 })) {
      const seen: string[] = [];
      while (seen.length < names.length) {
        const { rangeResponse } = await stream.next();
        seen.push(...namesOf(context, rangeResponse?.kvs ?? []));
      }
      expect(seen).toEqual(names);
      expect(await stream.ended).toMatchObject({ code: 0 });
    } else if (context.open.place.door === "direct") {
      const message = "unknown method RangeStream for service etcdserverpb.KV";
      expect(await stream.ended).toEqual({ code: 12, message });
    }
  });
}

async function putMany(context: Context): Promise<readonly string[]> {
  const names = Array.from({ length: 100 }, (_, i) => `k${String(i).padStart(3, "0")}`);
  await putTogether(context, names);
  return names;
}
