import { describe, expect, it } from "vitest";
import { formatRegistryValue, parseRegistryValue, registryPrefix } from "./registry-entry.ts";

describe("registry entries", () => {
  it("are written as etcd's proxy writes them, and read back", () => {
    const proxy = { name: "vm", address: "127.0.0.1:24791" };
    const wire = '{"Op":0,"Addr":"127.0.0.1:24791","Metadata":"{\\"name\\":\\"vm\\"}"}';
    expect(formatRegistryValue(proxy)).toBe(wire);
    expect(parseRegistryValue(wire)).toEqual(proxy);
  });

  it("stand behind the namespace and a slash", () => {
    expect(registryPrefix("", "foo")).toBe("foo/");
    expect(registryPrefix("ns/", "foo")).toBe("ns/foo/");
  });
});
