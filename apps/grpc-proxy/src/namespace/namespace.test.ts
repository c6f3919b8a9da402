import { endOfPrefix } from "@etcd-edge/coalesce";
import { rpcs } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { createNamespace } from "./namespace.ts";
import { createTransforms } from "./transforms.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

describe("endOfPrefix", () => {
  it.each([
    ["pfx/", "pfx0"],
    ["a\xff", "b"],
    ["a\xff\xff", "b"],
    ["\xff\xff", "\0"],
    ["\0", "\x01"],
  ])("of %j is %j", (prefix, end) => {
    expect(Buffer.from(endOfPrefix(bytes(prefix)))).toEqual(bytes(end));
  });
});

describe("a namespace", () => {
  it.each([
    ["pfx/", "a", "", "pfx/a", ""],
    ["pfx/", "abc", "def", "pfx/abc", "pfx/def"],
    ["pfx/", "abc", "\0", "pfx/abc", "pfx0"],
    ["\xff\xff", "x", "\0", "\xff\xffx", "\0"],
  ])("%j maps [%j, %j) to [%j, %j)", (prefix, key, end, scopedKey, scopedEnd) => {
    const { scope } = createNamespace(bytes(prefix));
    expect(Buffer.from(scope.key(bytes(key)))).toEqual(bytes(scopedKey));
    if (end !== "") expect(Buffer.from(scope.rangeEnd(bytes(end)))).toEqual(bytes(scopedEnd));
  });

  it("shows keys without the prefix, and none from outside", () => {
    const { unscope } = createNamespace(bytes("ns/"));
    expect(Buffer.from(unscope.key(bytes("ns/a")))).toEqual(bytes("a"));
    expect(() => unscope.key(bytes("n"))).toThrow("outside the namespace");
    expect(() => unscope.key(bytes("nt/a"))).toThrow("outside the namespace");
    expect(unscope.keyOfList(bytes("other"))).toBeUndefined();
  });
});

describe("the policy", () => {
  const refused = (policy: "compatible" | "strict"): string[] => {
    const find = createTransforms("ns/", policy);
    return rpcs.filter((rpc) => find(rpc.path)?.refusal !== undefined).map((rpc) => rpc.path);
  };

  it("refuses by name, under strict, what reaches beyond the namespace", () => {
    expect(refused("compatible")).toEqual([]);
    expect(refused("strict")).toContain("/etcdserverpb.Maintenance/Snapshot");
    expect(refused("strict")).toContain("/etcdserverpb.Auth/RoleGrantPermission");
    expect(refused("strict")).not.toContain("/v3lockpb.Lock/Lock");
    const [message] = refused("strict").map(
      (path) => createTransforms("ns/", "strict")(path)?.refusal?.message,
    );
    expect(message).toMatch(/^etcdserverpb\.\w+\/\w+ reaches beyond the namespace/);
  });

  it("lets no RPC out that the schema does not know", () => {
    expect(createTransforms("ns/", "compatible")("/etcdserverpb.KV/Future")?.refusal?.code).toBe(12);
    expect(createTransforms("", "compatible")("/etcdserverpb.KV/Future")).toBeUndefined();
  });
});
