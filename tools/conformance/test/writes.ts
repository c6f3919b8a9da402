import type { MessageInitShape, RequestOpSchema } from "@etcd-edge/proto";
import { bytes, type Context } from "../src/context.ts";
import { kv } from "../src/methods.ts";

type Op = MessageInitShape<typeof RequestOpSchema>;

/** Writes `name = value`. @returns the revision of the write */
export async function put(context: Context, name: string, value = "v"): Promise<bigint> {
  const { header } = await context.etcd.ask(kv.put, { key: context.key(name), value: bytes(value) });
  return header?.revision ?? 0n;
}

/** Deletes one key. @returns the store's revision after it */
export async function remove(context: Context, name: string): Promise<bigint> {
  const { header } = await context.etcd.ask(kv.deleteRange, { key: context.key(name) });
  return header?.revision ?? 0n;
}

/** Writes all keys in one revision. @returns that revision */
export async function putTogether(context: Context, names: readonly string[]): Promise<bigint> {
  const success = names.map((name) => putOp(context, name, "v"));
  const { header } = await context.etcd.ask(kv.txn, { success });
  return header?.revision ?? 0n;
}

export function putOp(context: Context, name: string, value: string): Op {
  return { request: { case: "requestPut", value: { key: context.key(name), value: bytes(value) } } };
}

/** The revision of the store: that of the last write of anybody. */
export async function storeRevision(context: Context): Promise<bigint> {
  const { header } = await context.etcd.ask(kv.range, { key: context.key("nothing"), countOnly: true });
  return header?.revision ?? 0n;
}
