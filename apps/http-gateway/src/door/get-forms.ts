import { ScalarType } from "@bufbuild/protobuf";
import { create, type DescMessage, type Message, type Rpc, type RpcPath } from "@etcd-edge/proto";
import { readFlag, styleParameters } from "../http/call-style.ts";
import { invalidParameter } from "../http/invalid-parameter.ts";
import { toPrefixRange } from "../http/key-range.ts";
import { type QueryPair, splitQuery } from "../http/query.ts";
import { asBag, type FieldPlan, planOf, setField } from "../json/message-plan.ts";

/**
 * Reads that may be asked by GET, with their fields as parameters of the query; and the parameters of which there must be one.
 * Nothing here changes anything, or takes etcd much work.
 */
const forms: Readonly<Partial<Record<RpcPath, readonly string[]>>> = {
  "/etcdserverpb.KV/Range": ["key", "prefix"],
  "/etcdserverpb.Lease/LeaseLeases": [],
  "/etcdserverpb.Lease/LeaseTimeToLive": ["ID"],
  "/etcdserverpb.Cluster/MemberList": [],
  "/etcdserverpb.Maintenance/Status": [],
  "/etcdserverpb.Auth/AuthStatus": [],
  "/etcdserverpb.Auth/UserList": [],
  "/etcdserverpb.Auth/UserGet": ["name"],
  "/etcdserverpb.Auth/RoleList": [],
  "/etcdserverpb.Auth/RoleGet": ["role"],
  "/v3electionpb.Election/Leader": ["name"],
};

/** The parameters that a GET of this RPC must have one of; nothing where it is asked by POST only. */
export function findGetForm(rpc: Rpc): readonly string[] | undefined {
  return forms[rpc.path];
}

/** Whether a GET is one of these: without the parameters that it needs it is what etcd takes it for, a wrong method. */
export function hasGetForm(rpc: Rpc, search: string): boolean {
  const needed = findGetForm(rpc);
  return needed !== undefined && (needed.length === 0 || search.length > 1);
}

/**
 * The request that a query asks. Parameters are named as the fields of the schema; those that are bytes are taken as they are
 * (percent-encoded), lists are given one by one, `prefix=` is a range of its own.
 *
 * @param search from the question mark on, or nothing
 * @throws UpstreamError INVALID_ARGUMENT, which names the parameter
 */
export function readQueryRequest(rpc: Rpc, search: string): Message {
  const needed = findGetForm(rpc) ?? [];
  const pairs = splitQuery(search).filter(({ name }) => !styleParameters.has(name));
  if (needed.length > 0 && !pairs.some(({ name }) => needed.includes(name))) {
    throw invalidParameter(needed[0] ?? "", `${needed.join(" or ")} is missing`);
  }
  const message = create(rpc.input);
  const bag = asBag(message);
  const seen = new Set<string>();
  for (const pair of pairs) {
    if (pair.name === "prefix" && needed.includes("prefix")) setPrefix(rpc.input, bag, pair, seen);
    else setParameter(rpc.input, bag, pair, seen);
  }
  return message;
}

function setPrefix(
  desc: DescMessage,
  bag: Record<string, unknown>,
  { name, value }: QueryPair,
  seen: Set<string>,
): void {
  const { key, rangeEnd } = toPrefixRange(value);
  setParameter(desc, bag, { name: "key", value: Buffer.from(key) }, seen);
  setParameter(desc, bag, { name: "range_end", value: Buffer.from(rangeEnd) }, seen);
  seen.add(name);
}

function setParameter(
  desc: DescMessage,
  bag: Record<string, unknown>,
  { name, value }: QueryPair,
  seen: Set<string>,
): void {
  const field = planOf(desc).byName.get(name);
  if (field === undefined) throw invalidParameter(name, `unknown parameter ${JSON.stringify(name)}`);
  if (seen.has(field.name)) throw invalidParameter(name, `${name} is given more than once`);
  seen.add(field.name);
  setField(bag, field, readValue(field, name, value));
}

const integerLimits: ReadonlyMap<ScalarType | undefined, readonly [bigint, bigint]> = new Map([
  [ScalarType.INT64, [-(1n << 63n), (1n << 63n) - 1n]],
  [ScalarType.UINT64, [0n, (1n << 64n) - 1n]],
]);

function readValue({ desc }: FieldPlan, name: string, value: Buffer): unknown {
  const text = value.toString();
  if (desc.enum !== undefined) {
    const found = desc.enum.values.find((one) => one.name === text || String(one.number) === text);
    if (found !== undefined) return found.number;
    throw invalidParameter(
      name,
      `${name} must be one of ${desc.enum.values.map((one) => one.name).join(", ")}`,
    );
  }
  switch (desc.scalar) {
    case ScalarType.BYTES:
      return value;
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return readFlag(name, text);
    default:
      return readInteger(name, text, integerLimits.get(desc.scalar));
  }
}

function readInteger(name: string, text: string, limits: readonly [bigint, bigint] | undefined): bigint {
  // No read that is asked by GET has a field of another kind; one that gets some is noticed by the test of the table.
  if (limits === undefined) throw invalidParameter(name, `${name} cannot be given as a parameter`);
  const value = /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (value !== undefined && value >= limits[0] && value <= limits[1]) return value;
  throw invalidParameter(name, `${name} must be a whole number from ${limits[0]} to ${limits[1]}`);
}
