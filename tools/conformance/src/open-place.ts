import { join } from "node:path";
import {
  type CertificateAuthority,
  createAuthority,
  type EtcdBinary,
  type EtcdCluster,
  startEtcdCluster,
  startProgram,
} from "@etcd-edge/testkit";
import { EtcdClient } from "./etcd-client.ts";
import { doors, type Place } from "./place.ts";

const root = join(import.meta.dirname, "..", "..", "..");

/** How often etcd sends progress to watches that asked for it, in this suite. */
export const progressIntervalMs = 300;

/** A set-up that stands: etcd, and the tiers in front of it. Disposing takes it down. */
export interface OpenPlace extends AsyncDisposable {
  readonly place: Place;
  readonly cluster: EtcdCluster;
  /** `host:port` where clients go. */
  readonly address: string;
  /** A connection of its own through the door. */
  connect(): EtcdClient;
  /** A connection to the first member itself, for what a test must know of etcd. Keys there carry the namespace. */
  connectDirectly(): EtcdClient;
}

/** Starts etcd and the tiers of a place, and waits until they serve. */
export async function openPlace(place: Place, binary: EtcdBinary): Promise<OpenPlace> {
  await using undo = new AsyncDisposableStack();
  const authority = place.security === "TLS" ? undo.use(await createAuthority()) : undefined;
  const server = await authority?.issue({ name: "server" });
  const tls = server === undefined ? {} : { tls: server };
  const cluster = undo.use(
    await startEtcdCluster({ binary, members: place.members, args: [progressFlag(binary)], ...tls }),
  );
  const door = doors.find((one) => one.name === place.door);
  if (door === undefined) throw new Error(`no door ${place.door}`);
  let upstream: readonly string[] = cluster.endpoints;
  for (const tier of door.tiers.toReversed()) {
    const flags = tier === "grpc-proxy" ? proxyFlags(place, authority, server) : [];
    upstream = [await startTierProcess(tier, upstream, flags, undo)];
  }
  const [address = ""] = upstream;
  const owned = undo.move();
  return {
    place,
    cluster,
    address,
    connect: () => new EtcdClient(address, authority?.ca),
    connectDirectly: () => new EtcdClient(cluster.endpoints[0] ?? "", authority?.ca),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function progressFlag(binary: EtcdBinary): string {
  const isOld = /^3\.[45]\./.test(binary.version);
  return `--${isOld ? "experimental-" : ""}watch-progress-notify-interval=${progressIntervalMs}ms`;
}

function proxyFlags(
  place: Place,
  authority: CertificateAuthority | undefined,
  server: { certFile: string; keyFile: string } | undefined,
): string[] {
  // MemberList answered by etcd, so that all of the Cluster service is compared.
  const flags = [
    "--advertise-client-url=",
    `--namespace=${place.namespace}`,
    `--watch-progress-notify-interval=${progressIntervalMs}ms`,
  ];
  if (authority === undefined || server === undefined) return flags;
  return [
    ...flags,
    `--cacert=${authority.caFile}`,
    `--cert-file=${server.certFile}`,
    `--key-file=${server.keyFile}`,
  ];
}

/** What each tier says when it serves. */
const readyLines: Readonly<Record<string, string>> = {
  "grpc-proxy": "started gRPC proxy",
  "http-gateway": "ready to serve client requests",
};

/** Starts a tier as users do, on a free port. @param undo ends it. @returns `host:port` where it serves */
export async function startTierProcess(
  tier: string,
  upstream: readonly string[],
  flags: readonly string[],
  undo: AsyncDisposableStack,
): Promise<string> {
  const main = join(root, "apps", tier, "src", "main.ts");
  const args = ["start", `--endpoints=${upstream.join(",")}`, "--listen-addr=127.0.0.1:0", ...flags];
  const program = undo.use(startProgram(process.execPath, [main, ...args]));
  const line = await program.waitForLine(readyLines[tier] ?? "ready to proxy client requests");
  const said = JSON.parse(line) as { address?: string; "listen-addr"?: string };
  return (said.address ?? said["listen-addr"] ?? "").replace(/^https?:\/\//, "");
}
