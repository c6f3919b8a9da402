/** Servers and the credentials that stood in their URLs, as the nats client wants them: apart. */
export type NatsServers = {
  readonly servers: string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  /** A `tls://` URL was among them. */
  readonly isTls: boolean;
};

/**
 * Reads `--nats-url` entries: `[nats://|tls://][user:password@|token@]host[:4222]`. The credentials of the first entry
 * that has some are used for all. Throws an Error that names the entry (without its password).
 */
export function parseNatsServers(entries: readonly string[]): NatsServers {
  const urls = entries.map(toUrl);
  const withCredentials = urls.find(({ username }) => username !== "");
  const first = decodeURIComponent(withCredentials?.username ?? "");
  const pass = decodeURIComponent(withCredentials?.password ?? "");
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port === "" ? 4222 : port}`),
    isTls: urls.some(({ protocol }) => protocol === "tls:"),
    ...(first === "" ? {} : pass === "" ? { token: first } : { user: first, pass }),
  };
}

function toUrl(entry: string): URL {
  const text = entry.includes("://") ? entry : `nats://${entry}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === "" || !["nats:", "tls:"].includes(url.protocol)) {
    throw new Error(`invalid NATS URL "${entry.replace(/\/\/.*@/, "//…@")}"`);
  }
  return url;
}
