import { describe, expect, it } from "vitest";
import { findRpc, rpcOf, rpcs } from "./rpcs.ts";
import { type RpcPath, services } from "./services.ts";

describe("rpcs", () => {
  it("has one entry per method of every service", () => {
    const methods = Object.values(services).reduce((sum, service) => sum + service.methods.length, 0);
    expect(rpcs).toHaveLength(methods);
    expect(new Set(rpcs.map((rpc) => rpc.path)).size).toBe(methods);
  });

  it("names paths as the type RpcPath does", () => {
    // Capitalize<localName> is the type's side, method.name the run time's.
    for (const service of Object.values(services)) {
      for (const method of service.methods) {
        const { localName } = method;
        expect(`${localName[0]?.toUpperCase()}${localName.slice(1)}`).toBe(method.name);
      }
    }
    const typed: readonly RpcPath[] = [
      "/etcdserverpb.KV/Range",
      "/etcdserverpb.Maintenance/HashKV",
      "/grpc.health.v1.Health/Check",
      "/v3electionpb.Election/Observe",
    ];
    expect(typed.map((path) => rpcOf(path).path)).toEqual(typed);
  });

  it.each([
    ["/etcdserverpb.KV/Range", "unary", "3.4", ["/v3/kv/range"]],
    ["/etcdserverpb.KV/RangeStream", "serverStream", "3.7", []],
    ["/etcdserverpb.Watch/Watch", "bidi", "3.4", ["/v3/watch"]],
    ["/etcdserverpb.Lease/LeaseRevoke", "unary", "3.4", ["/v3/lease/revoke", "/v3/kv/lease/revoke"]],
    ["/v3electionpb.Election/Observe", "serverStream", "3.4", ["/v3/election/observe"]],
    ["/grpc.health.v1.Health/Watch", "serverStream", "3.4", []],
  ] as const)("%s is %s since %s at %j", (path, kind, since, http) => {
    const rpc = rpcOf(path);
    expect(rpc.kind).toBe(kind);
    expect(rpc.since).toBe(since);
    expect(rpc.http.map((route) => route.path)).toEqual(http);
  });

  it("knows that the JSON path of HashKV is younger than the RPC", () => {
    const hashKv = rpcOf("/etcdserverpb.Maintenance/HashKV");
    expect(hashKv.since).toBe("3.4");
    expect(hashKv.http).toEqual([{ path: "/v3/maintenance/hashkv", since: "3.5" }]);
  });

  it("never binds one HTTP path to two methods", () => {
    const paths = rpcs.flatMap((rpc) => rpc.http.map((route) => route.path));
    expect(new Set(paths).size).toBe(paths.length);
    expect(paths).toHaveLength(51);
  });

  it("finds nothing for a path that etcd does not have", () => {
    expect(findRpc("/etcdserverpb.KV/range")).toBeUndefined();
    expect(findRpc("constructor")).toBeUndefined();
  });
});
