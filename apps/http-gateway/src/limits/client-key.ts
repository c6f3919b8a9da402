import type { IncomingMessage } from "node:http";
import { BlockList, isIP, isIPv6 } from "node:net";
import { ConfigError } from "@etcd-edge/runtime";

/** What of a request says who sent it. */
export type ClientTraits = Pick<IncomingMessage, "socket" | "headers">;

/** Says who sent a request, for limits: an address, or of IPv6 the /64 that one site has. */
export type FindClient = (request: ClientTraits) => string;

/**
 * Clients are told apart by the address of their connection; behind one of the given proxies by the last address in
 * `X-Forwarded-For` that is not a proxy's own. Nobody else is believed about it.
 *
 * @param trustedProxies addresses or networks, `10.0.0.0/8`
 * @throws ConfigError for what is neither
 */
export function createFindClient(trustedProxies: readonly string[]): FindClient {
  const proxies = new BlockList();
  for (const text of trustedProxies) addNetwork(proxies, text);
  const isProxy = (address: string): boolean =>
    isIP(address) > 0 && proxies.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  return ({ socket, headers }) => {
    let client = plainAddress(socket.remoteAddress ?? "");
    const forwarded = trustedProxies.length === 0 ? [] : String(headers["x-forwarded-for"] ?? "").split(",");
    while (isProxy(client)) {
      const before = plainAddress(forwarded.pop()?.trim() ?? "");
      if (isIP(before) === 0) break;
      client = before;
    }
    return isIPv6(client) ? `${expandIPv6(client).slice(0, 4).join(":")}::/64` : client;
  };
}

/** IPv4 as it is, where a socket for both families shows it inside IPv6. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}

function addNetwork(list: BlockList, text: string): void {
  const [address = "", bits] = text.split("/");
  const family = isIP(address);
  const most = family === 6 ? 128 : 32;
  const prefix = bits === undefined ? most : Number(bits);
  if (family === 0 || bits === "" || !Number.isInteger(prefix) || prefix < 0 || prefix > most) {
    throw new ConfigError(
      `invalid "--trusted-proxies": ${JSON.stringify(text)} is not an address or a network like 10.0.0.0/8`,
    );
  }
  list.addSubnet(address, prefix, family === 6 ? "ipv6" : "ipv4");
}

/** The eight groups of an address, without leading zeros. */
function expandIPv6(address: string): string[] {
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  return [...before, ...zeros, ...after];
}
