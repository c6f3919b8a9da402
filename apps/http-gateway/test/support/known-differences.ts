/** A request that we answer otherwise than etcd's own door, beside which releases, and why. */
interface KnownDifference {
  readonly name: string;
  readonly why: string;
  /** A regular expression over the version; all where absent, none where only `maybe` is given. */
  readonly versions?: RegExp;
  /** Beside these it may differ or not: the Go an etcd was built with decides, or Go's random order over a map. */
  readonly maybe?: RegExp;
}

const v34And35 = /^3\.[45]\./;
/** Go's router answers 307 itself from 1.26 on, and etcd of these lines is built with older and newer ones. */
const byBuild = /^3\.[67]\./;
const v34 = /^3\.4\./;
const v2 = /^3\.5\.30$|^3\.[67]\./;

/**
 * Everything known. The comparison fails for a difference that is not here and for a row here that no longer
 * differs. README.md tells the same in prose.
 */
const knownDifferences: readonly KnownDifference[] = [
  { name: "range, v3alpha", why: "etcd dropped this prefix after 3.3; old clients still ask" },
  { name: "redirect of v3", why: "no HTML; 307 instead of 301" },
  { name: "redirect", why: "307 keeps a POST a POST", versions: v34And35, maybe: byBuild },
  { name: "route_double_slash", why: "307 keeps a POST a POST", versions: v34And35, maybe: byBuild },
  { name: "route_dotdot", why: "307 keeps a POST a POST", versions: v34And35, maybe: byBuild },
  { name: "readyz", why: "speaks of this process" },
  { name: "readyz_sub", why: "speaks of this process", versions: /^3\.[567]\./ },
  { name: "readyz_exclude", why: "speaks of this process" },
  { name: "readyz_with_nospace", why: "speaks of this process" },
  { name: "livez_verbose", why: "speaks of this process" },
  { name: "watch_empty_body", why: "etcd lets the client wait for ever" },
  { name: "watch_empty_object", why: "etcd lets the client wait for ever" },
  { name: "watch_malformed", why: "etcd lets the client wait for ever", versions: v2 },
  { name: "watch_bad_base64", why: "etcd lets the client wait for ever", versions: v2 },
  { name: "lease_keepalive_malformed", why: "etcd answers 200 and nothing", versions: v2 },
  { name: "lease keepalive with a wrong type", why: "etcd answers 200 and nothing", versions: v2 },
  {
    name: "type_enum_num_unknown",
    why: "kills etcd together with a sort target (rule 13)",
    versions: /^3\.[45]\./,
  },
  { name: "type_repeated_elem_null", why: "etcd panics and drops the connection", versions: v34 },
  { name: "type_oneof_null", why: "etcd loses the request beside the null in 7 of 8 tries", maybe: v34 },
  {
    name: "maintenance_hashkv_future",
    why: "every route is served; etcd may not know the RPC",
    versions: v34,
  },
  { name: "maintenance_downgrade", why: "every route is served; etcd may not know the RPC", versions: v34 },
  { name: "auth_status", why: "every route is served; etcd may not know the RPC", versions: v34 },
];

/** Names of questions that may differ or not beside a version. */
export function undecidedNames(version: string): string[] {
  return knownDifferences.filter(({ maybe }) => maybe?.test(version) === true).map(({ name }) => name);
}

/** Names of the given questions that are known to differ beside a version. */
export function knownNames(version: string, asked: readonly { readonly name: string }[]): string[] {
  const names = new Set(asked.map(({ name }) => name));
  return knownDifferences
    .filter(
      ({ name, versions, maybe }) => names.has(name) && (versions?.test(version) ?? maybe === undefined),
    )
    .map(({ name }) => name);
}
