import { etcdErrors } from "@etcd-edge/proto";
import { expect } from "vitest";
import { kv } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { put, remove, storeRevision } from "../writes.ts";
import { expectError, expectWholeHeader } from "./expectations.ts";

/** What a compaction takes, and what it leaves. */
export function describeCompacting(behave: Behave): void {
  behave("a revision is compacted once, and none that is yet to come", async (context) => {
    const { etcd } = context;
    await put(context, "a", "1");
    const revision = await put(context, "a", "2");
    expectWholeHeader(await etcd.ask(kv.compact, { revision }));
    for (const again of [revision, revision - 1n]) {
      await expectError(etcd.refusal(kv.compact, { revision: again }), etcdErrors.compacted);
    }
    await expectError(etcd.refusal(kv.compact, { revision: revision + 10_000n }), etcdErrors.futureRevision);
  });

  behave("at the head everything can still be read, with a cache or without", async (context) => {
    const { etcd, key } = context;
    await put(context, "a", "1");
    for (const serializable of [true, true, false]) await etcd.ask(kv.range, { key: key("a"), serializable });
    await put(context, "b", "2");
    await etcd.ask(kv.compact, { revision: await storeRevision(context), physical: true });
    for (const name of ["a", "b"]) {
      for (const serializable of [false, true]) {
        expect((await etcd.ask(kv.range, { key: key(name), serializable })).count).toBe(1n);
      }
    }
  });

  behave("the compacted revision itself can be read, and none before it", async (context) => {
    const { etcd, key } = context;
    const before = await put(context, "a", "1");
    const revision = await put(context, "a", "2");
    await put(context, "a", "3");
    await etcd.ask(kv.compact, { revision });
    const { kvs } = await etcd.ask(kv.range, { key: key("a"), revision });
    expect(kvs.map((one) => new TextDecoder().decode(one.value))).toEqual(["2"]);
    for (const serializable of [false, true]) {
      await expectError(
        etcd.refusal(kv.range, { key: key("a"), revision: before, serializable }),
        etcdErrors.compacted,
      );
    }
  });

  behave("a key that is deleted and made again counts from one", async (context) => {
    const { etcd, key } = context;
    for (const value of ["1", "2"]) await put(context, "a", value);
    await remove(context, "a");
    const revision = await put(context, "a", "3");
    const { kvs } = await etcd.ask(kv.range, { key: key("a") });
    expect(kvs[0]).toMatchObject({ version: 1n, createRevision: revision, modRevision: revision });
  });
}
