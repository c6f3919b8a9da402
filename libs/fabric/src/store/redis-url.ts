/** Where Redis is, as a `--redis-url` says it. */
export interface RedisAddress {
  /** At least one; more where it is a cluster. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly isCluster: boolean;
  readonly isTls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Number of the database; a cluster has only 0. */
  readonly db: number;
}

const form = /^(rediss?)(\+cluster)?:\/\/(?:([^@/]*)@)?([^@/]+)(?:\/(\d*))?$/;
const defaultPort = 6379;

/**
 * Reads `redis://[user:password@]host[:6379][/db]`; `rediss://` is with TLS, `redis+cluster://` and `rediss+cluster://` take several
 * hosts, separated by commas. A password alone stands behind a colon.
 * @throws Error that names the URL, without its password
 */
export function parseRedisUrl(url: string): RedisAddress {
  const [, scheme, cluster, userInfo, hosts = "", db = ""] = form.exec(url) ?? [];
  const shown = url.replace(/\/\/.*@/, "//…@");
  if (scheme === undefined) {
    throw new Error(
      `invalid Redis URL "${shown}": must be redis://, rediss://, redis+cluster:// or rediss+cluster:// with a host`,
    );
  }
  const isCluster = cluster !== undefined;
  const nodes = hosts.split(",").map((host) => toNode(host, shown));
  if (nodes.length > 1 && !isCluster) {
    throw new Error(`invalid Redis URL "${shown}": several hosts are a cluster, redis+cluster://`);
  }
  if (isCluster && Number(db) > 0)
    throw new Error(`invalid Redis URL "${shown}": a cluster has database 0 only`);
  const colon = userInfo?.indexOf(":") ?? -1;
  const username = colon < 0 ? userInfo : userInfo?.slice(0, colon);
  return {
    nodes,
    isCluster,
    isTls: scheme === "rediss",
    username: decoded(username, shown),
    password: colon < 0 ? undefined : decoded(userInfo?.slice(colon + 1), shown),
    db: Number(db),
  };
}

function toNode(text: string, shown: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number < 1 || number > 65_535)
    throw new Error(`invalid Redis URL "${shown}": "${text}" is no host or host:port`);
  return { host, port: number };
}

function decoded(text: string | undefined, shown: string): string | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new Error(`invalid Redis URL "${shown}": user and password must be percent-encoded`, {
      cause: error,
    });
  }
}
