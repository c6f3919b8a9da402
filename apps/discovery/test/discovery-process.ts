import { fileURLToPath } from "node:url";
import { type RunningProgram, startProgram } from "@etcd-edge/testkit";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

export type DiscoveryProcess = RunningProgram & {
  readonly url: string;
  readonly dnsAddress: string;
  readonly dnsPort: number;
};

/** The set as `GET /v1/endpoints` tells it. */
export type EndpointSetJson = {
  readonly version: number;
  readonly digest: string;
  readonly endpoints: readonly {
    readonly url: string;
    readonly name?: string;
    readonly alive: boolean;
    readonly health: string;
  }[];
  readonly peers: readonly { readonly url: string }[];
};

/** Starts discovery as its own process on free ports and waits until it is ready. */
export async function startDiscovery(args: readonly string[]): Promise<DiscoveryProcess> {
  const flags = ["--listen-addr=127.0.0.1:0", "--dns-addr=127.0.0.1:0", "--domain=etcd.test", ...args];
  const program = startProgram(process.execPath, [main, "start", ...flags]);
  const ready = JSON.parse(await program.waitForLine("ready to serve discovery requests")) as Record<
    string,
    string
  >;
  const dnsAddress = ready["dns-addr"] ?? "";
  return { ...program, url: ready["url"] ?? "", dnsAddress, dnsPort: Number(dnsAddress.split(":")[1]) };
}

/** Follows the set by long poll until it fits. @param tier of ours instead of the members */
export async function setThat(
  discovery: DiscoveryProcess,
  fits: (set: EndpointSetJson) => boolean,
  tier = "members",
): Promise<EndpointSetJson> {
  let etag = "";
  for (;;) {
    const response = await fetch(`${discovery.url}/v1/endpoints?tier=${tier}&wait=10s`, {
      headers: { "if-none-match": etag },
    });
    if (response.status === 304) continue;
    const set = (await response.json()) as EndpointSetJson;
    if (fits(set)) return set;
    etag = response.headers.get("etag") ?? "";
  }
}

export function aliveUrls(set: EndpointSetJson): string[] {
  return set.endpoints
    .filter(({ alive }) => alive)
    .map(({ url }) => url)
    .sort();
}
