import type { ChannelBalancer } from "@etcd-edge/endpoints";
import { CallError } from "@etcd-edge/transport";
import { expect, it } from "vitest";
import { isAuthEnabled } from "./auth-state.ts";

/** A cluster of one, which answers every call alike. */
function etcdThat(answer: () => Promise<unknown>): ChannelBalancer {
  const upstream = { calls: { unaryCall: answer } };
  const members = { pick: () => upstream, upstreams: () => [upstream], memberOf: () => undefined };
  return { ...members, heard: () => true } as unknown as ChannelBalancer;
}

it.each([
  ["etcdserver: user name is empty", 3],
  ["etcdserver: permission denied", 7],
])("rule 37: auth is on where etcd says to nobody: %s", async (message, code) => {
  const refusal = new CallError({ code, message, metadata: [], progress: "answered" });
  expect(await isAuthEnabled(etcdThat(() => Promise.reject(refusal)))).toBe(true);
});

it("rule 37: auth is off where etcd answers nobody", async () => {
  expect(await isAuthEnabled(etcdThat(() => Promise.resolve({ payload: Buffer.alloc(0) })))).toBe(false);
});
