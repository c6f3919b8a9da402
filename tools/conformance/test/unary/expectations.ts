import type { EtcdError, ResponseHeader } from "@etcd-edge/proto";
import { expect } from "vitest";
import type { Refusal } from "../../src/etcd-client.ts";

/** The refusal must be this error of etcd's, code and text. */
export async function expectError(refusal: Promise<Refusal>, error: EtcdError): Promise<void> {
  expect(await refusal).toEqual({ code: error.code, message: error.message });
}

/** The header must say which cluster and member answered, at which revision and term. */
export function expectWholeHeader(answer: { readonly header?: ResponseHeader | undefined }): void {
  const { clusterId = 0n, memberId = 0n, revision = 0n, raftTerm = 0n } = answer.header ?? {};
  const parts = { clusterId, memberId, revision, raftTerm };
  for (const [name, value] of Object.entries(parts)) expect(value, name).not.toBe(0n);
}

/** Keys as this test named them. */
export function namesOf(
  context: { nameOf(key: Uint8Array): string },
  kvs: readonly { readonly key: Uint8Array }[],
): string[] {
  return kvs.map(({ key }) => context.nameOf(key));
}
