import {
  type CompareSchema,
  etcdErrors,
  type MessageInitShape,
  Compare_CompareResult as Result,
  Compare_CompareTarget as Target,
} from "@etcd-edge/proto";
import { expect } from "vitest";
import { bytes, type Context } from "../../src/context.ts";
import { kv, lease } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { prefixOf } from "../watch/watch-session.ts";
import { put, putOp, putTogether, storeRevision } from "../writes.ts";
import { expectError, expectWholeHeader } from "./expectations.ts";

type Comparison = MessageInitShape<typeof CompareSchema>;

const never = (context: Context): Comparison => ({
  key: context.key("never"),
  target: Target.VERSION,
  result: Result.GREATER,
  targetUnion: { case: "version", value: 1_000n },
});

/** Txn: branches, comparisons, limits, nesting. */
export function describeTransactions(behave: Behave): void {
  behave("the branch that the comparisons choose is run, and only that", async (context) => {
    const { etcd } = context;
    const request = { success: [putOp(context, "a", "yes")], failure: [putOp(context, "b", "no")] };
    const won = await etcd.ask(kv.txn, request);
    expectWholeHeader(won);
    expect(won.succeeded).toBe(true);
    expect(won.responses[0]?.response.case).toBe("responsePut");
    const lost = await etcd.ask(kv.txn, { ...request, compare: [never(context)] });
    expect(lost.succeeded).toBe(false);
    const { kvs } = await etcd.ask(kv.range, prefixOf(context, ""));
    expect(kvs.map((one) => one.value.toString())).toEqual(["yes", "no"]);
    expect(kvs.map((one) => one.version)).toEqual([1n, 1n]);
  });

  behave("a transaction that writes nothing makes no revision", async (context) => {
    const revision = await put(context, "a");
    const read = { request: { case: "requestRange" as const, value: { key: context.key("a") } } };
    const answer = await context.etcd.ask(kv.txn, { success: [read] });
    expect(answer.header?.revision).toBe(revision);
    const [one] = answer.responses;
    expect(one?.response.value).toMatchObject({ count: 1n, kvs: [{ key: context.key("a") }] });
    expect(await storeRevision(context)).toBe(revision);
  });

  behave("every target can be compared", async (context) => {
    const { etcd } = context;
    const { ID } = await etcd.ask(lease.leaseGrant, { TTL: 600n });
    await etcd.ask(kv.put, { key: context.key("a"), value: bytes("m"), lease: ID });
    const { kvs } = await etcd.ask(kv.range, { key: context.key("a") });
    const revision = kvs[0]?.modRevision ?? 0n;
    const key = context.key("a");
    const rows: [Comparison, boolean][] = [
      [{ key, target: Target.VERSION, targetUnion: { case: "version", value: 1n } }, true],
      [{ key, target: Target.CREATE, targetUnion: { case: "createRevision", value: revision } }, true],
      [
        {
          key,
          target: Target.MOD,
          result: Result.GREATER,
          targetUnion: { case: "modRevision", value: revision },
        },
        false,
      ],
      [
        { key, target: Target.VALUE, result: Result.LESS, targetUnion: { case: "value", value: bytes("z") } },
        true,
      ],
      [
        {
          key,
          target: Target.VALUE,
          result: Result.NOT_EQUAL,
          targetUnion: { case: "value", value: bytes("m") },
        },
        false,
      ],
      [{ key, target: Target.LEASE, targetUnion: { case: "lease", value: ID } }, true],
      [
        { key: context.key("missing"), target: Target.VERSION, targetUnion: { case: "version", value: 0n } },
        true,
      ],
      [
        {
          key: context.key("missing"),
          target: Target.VALUE,
          targetUnion: { case: "value", value: bytes("") },
        },
        false,
      ],
    ];
    for (const [compare, holds] of rows) {
      expect((await etcd.ask(kv.txn, { compare: [compare] })).succeeded, `${compare.target}`).toBe(holds);
    }
    await etcd.ask(lease.leaseRevoke, { ID });
  });

  behave("a comparison over a range must hold for each key in it", async (context) => {
    await putTogether(context, ["a", "b", "c"]);
    await put(context, "c");
    const first = {
      key: context.key("a"),
      target: Target.VERSION,
      targetUnion: { case: "version" as const, value: 1n },
    };
    const holds = async (rangeEnd: Buffer): Promise<boolean> =>
      (await context.etcd.ask(kv.txn, { compare: [{ ...first, rangeEnd }] })).succeeded;
    expect(await holds(context.key("c"))).toBe(true);
    expect(await holds(context.key("d"))).toBe(false);
  });

  behave("a key may be written once", async (context) => {
    const twice = [putOp(context, "a", "1"), putOp(context, "a", "2")];
    await expectError(context.etcd.refusal(kv.txn, { success: twice }), etcdErrors.duplicateKey);
    const inner = {
      request: { case: "requestTxn" as const, value: { success: [putOp(context, "a", "2")] } },
    };
    await expectError(
      context.etcd.refusal(kv.txn, { failure: [putOp(context, "a", "1"), inner] }),
      etcdErrors.duplicateKey,
    );
    expect((await context.etcd.ask(kv.range, { key: context.key("a") })).count).toBe(0n);
  });

  behave("128 operations are allowed, 129 are not", async (context) => {
    const ops = Array.from({ length: 129 }, (_, i) => putOp(context, `k${i}`, "v"));
    await context.etcd.ask(kv.txn, { success: ops.slice(0, 128) });
    await expectError(context.etcd.refusal(kv.txn, { success: ops }), etcdErrors.tooManyOps);
    const compare = Array.from({ length: 129 }, () => never(context));
    await expectError(context.etcd.refusal(kv.txn, { compare }), etcdErrors.tooManyOps);
  });

  behave("an operation that is none is a key that is not found", async (context) => {
    await expectError(context.etcd.refusal(kv.txn, { success: [{}] }), etcdErrors.keyNotFound);
    await put(context, "a");
  });

  behave("transactions nest, and answer as they are nested", async (context) => {
    const read = { request: { case: "requestRange" as const, value: { key: context.key("a") } } };
    const inner = {
      request: {
        case: "requestTxn" as const,
        value: {
          compare: [never(context)],
          success: [putOp(context, "x", "x")],
          failure: [putOp(context, "b", "2")],
        },
      },
    };
    const answer = await context.etcd.ask(kv.txn, { success: [putOp(context, "a", "1"), inner, read] });
    const [outer, nested, seen] = answer.responses.map((one) => one.response);
    expect(outer?.case).toBe("responsePut");
    expect(nested?.value).toMatchObject({
      succeeded: false,
      responses: [{ response: { case: "responsePut" } }],
    });
    expect(seen?.value).toMatchObject({ kvs: [{ key: context.key("a"), value: bytes("1") }] });
    const { kvs } = await context.etcd.ask(kv.range, prefixOf(context, ""));
    expect(kvs.map((one) => one.modRevision)).toEqual(Array(2).fill(answer.header?.revision));
  });

  behave("a read inside obeys history's bounds", async (context) => {
    const first = await put(context, "a", "1");
    const last = await put(context, "a", "2");
    await context.etcd.ask(kv.compact, { revision: last, physical: true });
    const readAt = (revision: bigint) => ({
      success: [{ request: { case: "requestRange" as const, value: { key: context.key("a"), revision } } }],
    });
    await expectError(context.etcd.refusal(kv.txn, readAt(first)), etcdErrors.compacted);
    await expectError(context.etcd.refusal(kv.txn, readAt(last + 1_000n)), etcdErrors.futureRevision);
  });

  behave("an empty key is refused wherever it stands", async (context) => {
    const empty = { request: { case: "requestPut" as const, value: { value: bytes("1") } } };
    await expectError(context.etcd.refusal(kv.txn, { failure: [empty] }), etcdErrors.emptyKey);
    const compare = [{ target: Target.VERSION, targetUnion: { case: "version" as const, value: 0n } }];
    await expectError(context.etcd.refusal(kv.txn, { compare }), etcdErrors.emptyKey);
  });

  behave("an unknown lease fails the branch that is run, not the other", async (context) => {
    const leased = {
      request: { case: "requestPut" as const, value: { key: context.key("a"), lease: 123_456_789n } },
    };
    await expectError(context.etcd.refusal(kv.txn, { success: [leased] }), etcdErrors.leaseNotFound);
    await context.etcd.ask(kv.txn, { success: [putOp(context, "b", "1")], failure: [leased] });
  });
}
