import { readFileSync } from "node:fs";
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { file_authpb_auth } from "./gen/authpb/auth_pb.ts";
import { file_etcdserverpb_auth } from "./gen/etcdserverpb/auth_pb.ts";
import { file_etcdserverpb_cluster } from "./gen/etcdserverpb/cluster_pb.ts";
import { file_etcdserverpb_header } from "./gen/etcdserverpb/header_pb.ts";
import { file_etcdserverpb_kv } from "./gen/etcdserverpb/kv_pb.ts";
import { file_etcdserverpb_lease } from "./gen/etcdserverpb/lease_pb.ts";
import { file_etcdserverpb_maintenance } from "./gen/etcdserverpb/maintenance_pb.ts";
import { file_etcdserverpb_watch } from "./gen/etcdserverpb/watch_pb.ts";
import { file_mvccpb_kv } from "./gen/mvccpb/kv_pb.ts";
import { file_v3electionpb_v3election } from "./gen/v3electionpb/v3election_pb.ts";
import { file_v3lockpb_v3lock } from "./gen/v3lockpb/v3lock_pb.ts";
import { type Rpc, rpcs } from "./rpcs.ts";
import { parseSchemaVersion, sinceOf } from "./since.ts";

// testdata/schema.txt lists etcd's API one fact a line, made from the facts and not from our .proto files: a typing
// error in a field number, a forgotten field or a wrong `since` shows as a line too many and a line too few.
const expected = readFileSync(new URL("./testdata/schema.txt", import.meta.url), "utf8")
  .trim()
  .split("\n");

const messages: readonly DescMessage[] = [
  file_mvccpb_kv,
  file_authpb_auth,
  file_etcdserverpb_header,
  file_etcdserverpb_kv,
  file_etcdserverpb_watch,
  file_etcdserverpb_lease,
  file_etcdserverpb_cluster,
  file_etcdserverpb_maintenance,
  file_etcdserverpb_auth,
  file_v3lockpb_v3lock,
  file_v3electionpb_v3election,
].flatMap((file) => file.messages);

function typeOf(field: DescField): string {
  switch (field.fieldKind) {
    case "message":
      return field.message.typeName;
    case "enum":
      return field.enum.typeName;
    case "scalar":
      return ScalarType[field.scalar].toLowerCase();
    case "list": {
      if (field.listKind === "message") return `repeated ${field.message.typeName}`;
      if (field.listKind === "enum") return `repeated ${field.enum.typeName}`;
      return `repeated ${ScalarType[field.scalar].toLowerCase()}`;
    }
    case "map":
      throw new Error("etcd has no map field");
  }
}

const note = (since: string): string => (since === "3.4" ? "" : ` since ${since}`);

function describeMessage(message: DescMessage): string[] {
  const enums = message.nestedEnums.flatMap((desc) =>
    desc.values.map((value) => `enum ${desc.typeName} ${value.name}=${value.number}${note(sinceOf(value))}`),
  );
  const fields = message.fields.map((field) => {
    const oneof = field.oneof === undefined ? "" : ` oneof ${field.oneof.name}`;
    return `field ${message.typeName} ${field.number} ${field.name} ${typeOf(field)}${oneof}${note(sinceOf(field))}`;
  });
  return [...enums, `message ${message.typeName}${note(sinceOf(message))}`, ...fields];
}

function describeRpc(rpc: Rpc): string {
  const http = rpc.http.map((route) => ` ${route.path}`).join("");
  return `rpc ${rpc.path} ${rpc.kind} ${rpc.input.typeName} ${rpc.output.typeName}${http}${note(rpc.since)}`;
}

describe("schema", () => {
  it("has every message, field, enum value and RPC of etcd 3.4 to 3.7, and nothing else", () => {
    const alarmTypes = file_etcdserverpb_maintenance.enums.flatMap((desc) =>
      desc.values.map(
        (value) => `enum ${desc.typeName} ${value.name}=${value.number}${note(sinceOf(value))}`,
      ),
    );
    const actual = [
      ...alarmTypes,
      ...messages.flatMap(describeMessage),
      ...rpcs.filter((rpc) => rpc.service !== "grpc.health.v1.Health").map(describeRpc),
    ];
    expect(actual.toSorted()).toEqual(expected.toSorted());
  });

  it("keeps the fields of every message in the order of their numbers, which is etcd's order of JSON keys", () => {
    const unordered = messages.filter((message) =>
      message.fields.some((field, i) => field.number < (message.fields[i - 1]?.number ?? 0)),
    );
    // Compare.range_end has number 64 and stands last; no message is out of order.
    expect(unordered.map((message) => message.typeName)).toEqual([]);
  });

  it("refuses a release that is not in the list", () => {
    expect(() => parseSchemaVersion("3.8")).toThrow('the schema names release "3.8"');
  });
});
