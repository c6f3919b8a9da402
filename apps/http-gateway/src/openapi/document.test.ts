import { rpcs } from "@etcd-edge/proto";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { createOpenApiDocument } from "./document.ts";

const document = JSON.parse(JSON.stringify(createOpenApiDocument())) as {
  paths: Record<string, Record<string, { parameters: { name?: string; required?: boolean }[] }>>;
  components: { schemas: Record<string, { properties?: Record<string, unknown>; enum?: string[] }> };
};

describe("the OpenAPI document", () => {
  it("is one by the schema of OpenAPI 3", async () => {
    const result = await new Validator().validate(structuredClone(document));
    expect(result).toMatchObject({ valid: true });
  });

  it("has every route of the schema, and the schema of each message", () => {
    const routes = rpcs.flatMap((rpc) => rpc.http.map(({ path }) => path));
    expect(Object.keys(document.paths).sort()).toEqual([...routes].sort());
    expect(Object.keys(document.components.schemas["etcdserverpb.RangeRequest"]?.properties ?? {})).toContain(
      "range_end",
    );
    expect(document.components.schemas["etcdserverpb.RangeRequest.SortOrder"]?.enum).toEqual([
      "NONE",
      "ASCEND",
      "DESCEND",
    ]);
  });

  it("has no reference that leads nowhere", () => {
    const text = JSON.stringify(document);
    for (const [, path = ""] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = path
        .split("/")
        .reduce<unknown>((at, name) => (at as Record<string, unknown>)?.[name], document);
      expect(found, path).toBeDefined();
    }
  });

  it("tells which reads may be asked by GET, and what they need", () => {
    const byGet = Object.entries(document.paths).filter(([, path]) => path["get"] !== undefined);
    expect(byGet.map(([path]) => path)).toContain("/v3/kv/range");
    expect(byGet.map(([path]) => path)).not.toContain("/v3/kv/put");
    const names = document.paths["/v3/kv/range"]?.["get"]?.parameters.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["key", "prefix", "limit", "revision"]));
    const lease = document.paths["/v3/lease/timetolive"]?.["get"]?.parameters;
    expect(lease).toContainEqual(expect.objectContaining({ name: "ID", required: true }));
  });
});
