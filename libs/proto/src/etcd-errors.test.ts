import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { etcdErrors, findEtcdError } from "./etcd-errors.ts";
import { GrpcStatus } from "./grpc-status.ts";

const expected = readFileSync(new URL("./testdata/errors.txt", import.meta.url), "utf8")
  .trim()
  .split("\n");

describe("etcd errors", () => {
  it("has every text that clients match on, with its code", () => {
    const names = Object.entries(GrpcStatus);
    const actual = Object.values(etcdErrors).map(
      (error) => `${names.find(([, code]) => code === error.code)?.[0]}|${error.message}`,
    );
    expect(actual.toSorted()).toEqual(expected.toSorted());
  });

  it("finds an error by its text and nothing by a text of somebody else", () => {
    expect(findEtcdError("etcdserver: mvcc: required revision has been compacted")).toBe(
      etcdErrors.compacted,
    );
    expect(findEtcdError("required revision has been compacted")).toBeUndefined();
  });
});
