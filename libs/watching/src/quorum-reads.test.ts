import { fromBinary, TxnRequestSchema } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { probeTxn } from "./quorum-reads.ts";

const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

describe("rule 10: the probe", () => {
  const ranges = [
    { t: "point", key: bytes("k") },
    { t: "from", key: bytes("z") },
  ] as const;

  it.each([
    ["the smallest key", false, Uint8Array.of(0)],
    ["with auth on a key that is probed anyway", true, bytes("k")],
  ])("compares %s with a version that no key has", (_name, hasCredential, key) => {
    const { compare } = fromBinary(TxnRequestSchema, probeTxn(ranges, hasCredential));
    expect(compare).toMatchObject([
      { key, target: 0, result: 2, targetUnion: { case: "version", value: 0n } },
    ]);
  });

  it("has linearizable reads of every range in the branch that is not taken, and nothing else", () => {
    const { success, failure } = fromBinary(TxnRequestSchema, probeTxn(ranges, false));
    expect(failure).toEqual([]);
    expect(success.map(({ request }) => request.value)).toMatchObject([
      { key: bytes("k"), serializable: false, countOnly: true },
      { key: bytes("z"), rangeEnd: Uint8Array.of(0), serializable: false, countOnly: true },
    ]);
  });
});
