import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Random } from "@etcd-edge/testkit";
import {
  type Cutter,
  createAuthority,
  createNatsCutter,
  type EtcdBinary,
  type EtcdCluster,
  type FaultRelay,
  startEtcdCluster,
  startFaultRelay,
} from "@etcd-edge/testkit";
import type { EtcdClientOptions, EtcdUser } from "../driver/etcd-client.ts";
import type { LimitedUsers } from "../driver/round-context.ts";
import { type DoorName, doors } from "./door.ts";
import { redisPassword, startNats, startOwnRedis } from "./server-units.ts";
import { startTier, type TierPlan, type Unit, unitOfMember } from "./unit.ts";

export interface StackOptions {
  readonly door: DoorName;
  readonly binary: EtcdBinary;
  readonly members: 1 | 3;
  /** Of the tier that clients reach. */
  readonly replicas: number;
  /** Replicas of http-gateway beside it, before the same upstream; 0 for none. */
  readonly httpReplicas: number;
  /** With users: tokens are forgotten after so many seconds without use. 0 for no users at all. */
  readonly tokenTtlSeconds: number;
  /** With users: so many beside root who may read and write some keys only. */
  readonly limitedUsers: number;
  /** With users: our tiers have one of their own, under which they share for all who may. */
  readonly hasServiceUser: boolean;
  /** Every hop is encrypted: bytes that were lost, repeated or put in another order are then noticed by the hop itself. */
  readonly tls: boolean;
  /** Replicas of grpc-proxy share what they watch. */
  readonly hasNats: boolean;
  /** Replicas of grpc-proxy leave each other answers in Redis. */
  readonly hasRedis: boolean;
  /** For our tiers' Node: `--import` of something that changes them, and what that wants to know. */
  readonly node?: { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> };
  /** One that runs already, without users and TLS; it is left running. Default: one of its own. */
  readonly cluster?: EtcdCluster;
}

/** etcd with a door in front, every process and every hop of it at hand. Disposing takes it down. */
export interface Stack extends AsyncDisposable {
  readonly options: StackOptions;
  /** The one that is behind the inner relays now. */
  readonly cluster: EtcdCluster;
  readonly members: readonly Unit[];
  /** Of each tier its replicas, the nearest to the clients first. */
  readonly tiers: readonly (readonly Unit[])[];
  /** Replicas of http-gateway, and the relays in front of them. */
  readonly http: readonly Unit[];
  readonly httpRelays: readonly FaultRelay[];
  /** Between clients and the door, one for each replica of the first tier. */
  readonly outerRelays: readonly FaultRelay[];
  /** In front of each etcd member. */
  readonly innerRelays: readonly FaultRelay[];
  /** Over what replicas share what they watch, with a relay in front that can do things to their frames. */
  readonly nats: { readonly server: Unit; readonly relay: FaultRelay } | undefined;
  /** Where they leave each other answers. */
  readonly redis: { readonly server: Unit; readonly relay: FaultRelay } | undefined;
  /** Users whose rights are given and taken while clients are at work; nothing where there are none. */
  readonly limited: LimitedUsers | undefined;
  /** Where clients go. */
  readonly target: EtcdClientOptions;
  /** Where clients go that speak HTTP; nothing where they cannot. */
  readonly httpTarget: EtcdClientOptions | undefined;
  /** etcd itself, past all relays; another after `swapCluster`. */
  readonly reference: EtcdClientOptions;
  /**
   * Another cluster with a history of its own takes the place of the one that is there: every connection to that is reset,
   * and it ends.
   * @param prepare writes what it is to hold by then
   */
  swapCluster(prepare: (next: EtcdClientOptions) => Promise<void>): Promise<void>;
}

const root = { name: "root", password: "verify" };
/** Often enough that a run sees it. */
const progressInterval = "500ms";
/** `--auth-recheck` and `--auth-grace`: short, so that a run sees what they promise. */
const recheckMs = 1_000;
const graceMs = 5_000;

/**
 *     clients ─ relay ─ tier 1 … ─ tier n ─ relay ─ etcd members
 *     reference ─────────────────────────────────────────┘
 */
export async function startStack(options: StackOptions, random: Random): Promise<Stack> {
  await using undo = new AsyncDisposableStack();
  const { binary, members, replicas, tokenTtlSeconds } = options;
  const hasUsers = tokenTtlSeconds > 0;
  const limitedUsers = Array.from(
    { length: hasUsers ? options.limitedUsers : 0 },
    (_, i): EtcdUser => ({ name: `limited-${i + 1}`, password: "verify", isLimited: true }),
  );
  const authority = options.tls ? undo.use(await createAuthority()) : undefined;
  const certificate = await authority?.issue({ name: "server" });
  const etcdctlFlags = authority === undefined ? [] : [`--cacert=${authority.caFile}`];
  const startCluster = async (): Promise<EtcdCluster> => {
    const args = [...etcdFlags(options), `--initial-cluster-token=${randomUUID()}`];
    const started = await startEtcdCluster({
      binary,
      members,
      args,
      ...(certificate === undefined ? {} : { tls: certificate }),
    });
    if (hasUsers) await enableAuth(started, etcdctlFlags, limitedUsers);
    return started;
  };
  let cluster = options.cluster ?? (await startCluster());
  undo.defer(async () => {
    if (cluster !== options.cluster) await cluster[Symbol.asyncDispose]();
  });
  const tls = authority && certificate && { caFile: authority.caFile, ...certificate };
  const relayTo = async (addresses: readonly string[]): Promise<readonly FaultRelay[]> =>
    await Promise.all(
      addresses.map(async (address) => undo.use(await startFaultRelay(address, () => random.fraction()))),
    );
  const innerRelays = await relayTo(cluster.endpoints);
  const nats = options.hasNats ? await startNatsBehindRelay(undo, random) : undefined;
  const redis = options.hasRedis ? await startRedisBehindRelay(undo, random) : undefined;
  const files = await makeFolder(undo);
  const fabric = nats === undefined ? [] : await fabricFlags(files, nats.relay.address);
  const store = redis === undefined ? [] : [`--redis-url=redis://:${redisPassword}@${redis.relay.address}`];
  const identity = hasUsers ? await identityFlags(files, options.hasServiceUser) : [];
  let upstream: readonly string[] = innerRelays.map((relay) => relay.address);
  const tiers: (readonly Unit[])[] = [];
  const names = doors[options.door].tiers;
  const startTiers = async (
    tier: TierPlan["tier"],
    count: number,
    flags: readonly string[],
  ): Promise<readonly Unit[]> => {
    const plan = { tier, upstream, binary, node: options.node, tls, shared: flags };
    return await Promise.all(
      Array.from({ length: count }, async (_, i) => undo.use(await startTier({ ...plan, replica: i + 1 }))),
    );
  };
  let doorsForHttp: readonly Unit[] = [];
  for (const [index, tier] of [...names.entries()].reverse()) {
    const isFirst = index === 0;
    // Those of the two tiers that share see the same keys from the same place.
    if (isFirst)
      doorsForHttp = await startTiers("http-gateway", options.httpReplicas, [...fabric, ...identity]);
    const units = await startTiers(tier, isFirst ? replicas : 1, [...fabric, ...identity, ...store]);
    tiers.unshift(units);
    upstream = units.map((unit) => unit.address);
  }
  if (names.length === 0)
    doorsForHttp = await startTiers("http-gateway", options.httpReplicas, [...fabric, ...identity]);
  const outerRelays = names.length === 0 ? innerRelays : await relayTo(upstream);
  const httpRelays = await relayTo(doorsForHttp.map((unit) => unit.address));
  const common = { ...(hasUsers ? { user: root } : {}), ...(authority ? { ca: authority.ca } : {}) };
  const owned = undo.move();
  return {
    options,
    get cluster() {
      return cluster;
    },
    get members() {
      return cluster.members.map(unitOfMember);
    },
    tiers,
    nats,
    redis,
    limited: limitedUsers.length === 0 ? undefined : { users: limitedUsers, ...promiseOf(options.door) },
    outerRelays,
    innerRelays,
    http: doorsForHttp,
    httpRelays,
    target: { endpoints: outerRelays.map((relay) => relay.address), ...common },
    httpTarget:
      httpRelays.length === 0
        ? undefined
        : { endpoints: httpRelays.map((relay) => relay.address), ...common },
    get reference() {
      return { endpoints: cluster.endpoints, ...common };
    },
    swapCluster: async (prepare) => {
      const next = await startCluster();
      await prepare({ endpoints: next.endpoints, ...common });
      const before = cluster;
      cluster = next;
      for (const [i, relay] of innerRelays.entries()) relay.retarget(next.endpoints[i] ?? "");
      if (before !== options.cluster) await before[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startNatsBehindRelay(
  undo: AsyncDisposableStack,
  random: Random,
): Promise<NonNullable<Stack["nats"]>> {
  const server = undo.use(await startNats());
  const cutter = (): Cutter => createNatsCutter((subject) => subject.includes(".frames."));
  const relay = undo.use(await startFaultRelay(server.address, () => random.fraction(), cutter));
  return { server, relay };
}

async function startRedisBehindRelay(
  undo: AsyncDisposableStack,
  random: Random,
): Promise<NonNullable<Stack["redis"]>> {
  const server = undo.use(await startOwnRedis());
  const relay = undo.use(await startFaultRelay(server.address, () => random.fraction()));
  return { server, relay };
}

async function makeFolder(undo: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-verify-"));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** What our tiers are told where there are users: how soon a right that is gone must be noticed, and perhaps who they are. */
async function identityFlags(folder: string, hasServiceUser: boolean): Promise<readonly string[]> {
  const flags = [`--auth-recheck=${recheckMs}ms`, `--auth-grace=${graceMs}ms`];
  if (!hasServiceUser) return flags;
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, root.password);
  return [...flags, `--user=${root.name}`, `--password-file=${passwordFile}`];
}

/** Rights that are gone: etcd asks at each call, but for watches; our proxies at least every so often, and of watches, too. */
function promiseOf(door: DoorName): Pick<LimitedUsers, "staleMs" | "watchEndsMs"> {
  const asksItself = doors[door].tiers.some((tier) => tier === "grpc-proxy");
  return asksItself ? { staleMs: recheckMs, watchEndsMs: graceMs } : { staleMs: 0, watchEndsMs: undefined };
}

/** With a key, for there may be users. */
async function fabricFlags(folder: string, address: string): Promise<readonly string[]> {
  const keyFile = join(folder, "fabric-key");
  await writeFile(keyFile, randomUUID());
  return [`--nats-url=nats://${address}`, `--fabric-key-file=${keyFile}`];
}

function etcdFlags({ binary, tokenTtlSeconds }: StackOptions): string[] {
  const isOld = /^3\.[45]\./.test(binary.version);
  const flags = [`--${isOld ? "experimental-" : ""}watch-progress-notify-interval=${progressInterval}`];
  // A password costs etcd 60 ms otherwise, and here everybody logs in again and again.
  if (tokenTtlSeconds > 0) flags.push(`--auth-token-ttl=${tokenTtlSeconds}`, "--bcrypt-cost=4");
  return flags;
}

async function enableAuth(
  cluster: EtcdCluster,
  flags: readonly string[],
  limited: readonly EtcdUser[],
): Promise<void> {
  const { name, password } = root;
  for (const args of [
    ["user", "add", `${name}:${password}`],
    ...(cluster.binary.version.startsWith("3.4.") ? [["role", "add", "root"]] : []),
    ["user", "grant-role", name, "root"],
    ...limited.map((user) => ["user", "add", `${user.name}:${user.password}`]),
    ["auth", "enable"],
  ]) {
    await cluster.etcdctl([...flags, ...args]);
  }
}
