import type { RpcPath } from "@etcd-edge/proto";

/** One cell of the matrix for each user: an RPC and what it asks, as protobuf JSON (bytes in base64). */
export interface MatrixRequest {
  readonly name: string;
  readonly path: RpcPath;
  readonly message: Record<string, unknown>;
}

const text = (value: string): string => Buffer.from(value, "latin1").toString("base64");

interface Span {
  readonly key: string;
  readonly end?: string;
}

/** What somebody may ask for: inside what `ann` may do, beside it, across its edge, single keys, and all there is. */
const spans: Readonly<Record<string, Span>> = {
  a1: { key: "a1" },
  "[a,b)": { key: "a", end: "b" },
  "[a,c)": { key: "a", end: "c" },
  k: { key: "k" },
  "k and no more": { key: "k", end: "k\0" },
  "from k": { key: "k", end: "\0" },
  z: { key: "z" },
  everything: { key: "\0", end: "\0" },
};

const toFields = ({ key, end }: Span) => ({
  key: text(key),
  ...(end === undefined ? {} : { rangeEnd: text(end) }),
});

const range = (span: Span, more = {}) => ({ requestRange: { ...toFields(span), ...more } });
const put = (key: string) => ({ requestPut: { key: text(key), value: text("v") } });
const versionOf = (key: string) => ({ result: "GREATER", target: "VERSION", key: text(key), version: "0" });

/** Keys that are there, so that a permitted write changes nothing that another cell sees. */
const written = ["a1", "k", "z"] as const;

function keyValues(): MatrixRequest[] {
  const kv = "/etcdserverpb.KV";
  const requests: MatrixRequest[] = [];
  for (const [name, span] of Object.entries(spans)) {
    const fields = toFields(span);
    requests.push(
      { name: `get ${name}`, path: `${kv}/Range`, message: fields },
      { name: `get ${name}, serializable`, path: `${kv}/Range`, message: { ...fields, serializable: true } },
      { name: `count ${name}`, path: `${kv}/Range`, message: { ...fields, countOnly: true } },
      { name: `txn get ${name}`, path: `${kv}/Txn`, message: { success: [range(span)] } },
      { name: `watch ${name}`, path: "/etcdserverpb.Watch/Watch", message: { createRequest: fields } },
    );
  }
  for (const key of written) {
    const missing = `${key}-missing`;
    requests.push(
      { name: `put ${key}`, path: `${kv}/Put`, message: { key: text(key), value: text("v") } },
      {
        name: `put ${key} with prev_kv`,
        path: `${kv}/Put`,
        message: { key: text(key), value: text("v"), prevKv: true },
      },
      { name: `delete ${missing}`, path: `${kv}/DeleteRange`, message: { key: text(missing) } },
      { name: `txn put ${key}`, path: `${kv}/Txn`, message: { success: [put(key)] } },
      { name: `txn compare ${key}`, path: `${kv}/Txn`, message: { compare: [versionOf(key)], success: [] } },
      {
        name: `txn if a1 then put ${key} else get it`,
        path: `${kv}/Txn`,
        message: { compare: [versionOf("a1")], success: [put(key)], failure: [range({ key })] },
      },
      {
        name: `txn in a txn, get ${key}`,
        path: `${kv}/Txn`,
        message: { success: [{ requestTxn: { success: [range({ key })] } }] },
      },
    );
  }
  requests.push(
    { name: "delete [b,c)", path: `${kv}/DeleteRange`, message: { key: text("b"), rangeEnd: text("c") } },
    { name: "get at revision 1", path: `${kv}/Range`, message: { key: text("a1"), revision: "1" } },
  );
  return requests;
}

function others(): MatrixRequest[] {
  const lease = "/etcdserverpb.Lease";
  const auth = "/etcdserverpb.Auth";
  const maintenance = "/etcdserverpb.Maintenance";
  const one = (name: string, path: RpcPath, message: Record<string, unknown> = {}): MatrixRequest => ({
    name,
    path,
    message,
  });
  return [
    one("lease grant", `${lease}/LeaseGrant`, { TTL: "60" }),
    one("lease list", `${lease}/LeaseLeases`),
    one("lease time to live", `${lease}/LeaseTimeToLive`, { ID: "77", keys: true }),
    one("lease revoke", `${lease}/LeaseRevoke`, { ID: "404" }),
    one("member list", "/etcdserverpb.Cluster/MemberList"),
    one("member remove", "/etcdserverpb.Cluster/MemberRemove", { ID: "404" }),
    one("status", `${maintenance}/Status`),
    one("alarms", `${maintenance}/Alarm`, { action: "GET" }),
    one("hash", `${maintenance}/Hash`),
    one("hash of keys", `${maintenance}/HashKV`),
    one("move leader", `${maintenance}/MoveLeader`, { targetID: "404" }),
    one("compact the past", "/etcdserverpb.KV/Compact", { revision: "1" }),
    one("auth status", `${auth}/AuthStatus`),
    one("user list", `${auth}/UserList`),
    one("user get ann", `${auth}/UserGet`, { name: "ann" }),
    one("user get root", `${auth}/UserGet`, { name: "root" }),
    one("user add ann again", `${auth}/UserAdd`, { name: "ann", password: "pw" }),
    one("user delete nobody", `${auth}/UserDelete`, { name: "no such user" }),
    one("user change password of nobody", `${auth}/UserChangePassword`, {
      name: "no such user",
      password: "x",
    }),
    one("user grant role", `${auth}/UserGrantRole`, { user: "no such user", role: "root" }),
    one("user revoke role", `${auth}/UserRevokeRole`, { name: "no such user", role: "root" }),
    one("role list", `${auth}/RoleList`),
    one("role get a", `${auth}/RoleGet`, { role: "a" }),
    one("role get root", `${auth}/RoleGet`, { role: "root" }),
    one("role add again", `${auth}/RoleAdd`, { name: "a" }),
    one("role delete nothing", `${auth}/RoleDelete`, { role: "no such role" }),
    one("role grant", `${auth}/RoleGrantPermission`, { name: "no such role", perm: { key: text("x") } }),
    one("role revoke", `${auth}/RoleRevokePermission`, { role: "no such role", key: text("x") }),
    one("unlock nothing", "/v3lockpb.Lock/Unlock", { key: text("a-lock/404") }),
    one("unlock elsewhere", "/v3lockpb.Lock/Unlock", { key: text("z-lock/404") }),
    one("leader of a-seat", "/v3electionpb.Election/Leader", { name: text("a-seat") }),
    one("leader of z-seat", "/v3electionpb.Election/Leader", { name: text("z-seat") }),
  ];
}

export const matrixRequests: readonly MatrixRequest[] = [...keyValues(), ...others()];
