import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EtcdBinary,
  enableAuth,
  findEtcdBinaries,
  findFreePorts,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { findChosenEtcd } from "../chosen-etcd.ts";
import { machineNotes, type Report, type Row } from "../report.ts";
import { type Administrator, administratorOf } from "../revocation/administrator.ts";
import { type Blow, blows } from "../revocation/blows.ts";
import { RevocationDoor } from "../revocation/revocation-door.ts";
import type { WatchedUser } from "../revocation/watched-user.ts";
import { summarise } from "../stats.ts";
import type { BenchOptions } from "./bench-options.ts";

const others = ["other-1", "other-2", "other-3"];
/** By default a door asks anew every 5 s: a watch that is to end has ended by then, on whatever machine. */
const endsWithinMs = 30_000;
/** One that has not ended by then goes on: a question and a bit more. */
const goesOnMs = 8_000;
const sides = (["grpc-proxy", "http-gateway"] as const).flatMap((tier) =>
  [false, true].map((hasUser) => ({ tier, hasUser })),
);

/** What a blow did at one door. */
interface Outcome {
  readonly etcd: string;
  readonly blow: Blow;
  readonly door: RevocationDoor;
  /** From the blow being dealt to the watch being over, in milliseconds; nothing where it went on. */
  readonly endedAfterMs: number | undefined;
  /** Watches of other users at that door that ended, or that missed an event or had one twice. */
  readonly noticed: number;
}

/**
 * Until a live watch of a user ends whose right, role, password or account is gone, or for whom auth is switched on or off; and how many
 * watches of other users notice. `--rounds` of each, at the oldest and the newest etcd, or at one with `--etcd`.
 */
export async function benchRevocation(options: BenchOptions): Promise<Report> {
  const outcomes: Outcome[] = [];
  const binaries = await chooseBinaries(options.etcd);
  for (const binary of binaries) outcomes.push(...(await measure(binary, options.rounds)));
  const noticed = outcomes.reduce((sum, outcome) => sum + outcome.noticed, 0);
  const late = outcomes.filter(({ blow, endedAfterMs }) => blow.mustEnd && endedAfterMs === undefined);
  return {
    suite: "revocation",
    rows: [
      { ...count("watches of other users that noticed", "all", noticed), goal: "0", met: noticed === 0 },
      {
        ...count("watches that had to end and did not", "all", late.length),
        ...{ goal: "0", met: late.length === 0 },
      },
      ...binaries.flatMap(({ version }) =>
        blows.flatMap((blow) => toRows(outcomes.filter((one) => one.etcd === version && one.blow === blow))),
      ),
    ],
    notes: [
      `etcd ${binaries.map(({ version }) => version).join(" and ")}, one member, simple tokens; each door as it comes, with --auth-recheck=5s, and with --user=root, who may ask for the revision of users and roles (AuthStatus, which 3.4 does not have).`,
      `Time is from the call that changes something being sent to etcd until the client has been told that its watch is over; one that has not ended after ${goesOnMs / 1000} s where it need not goes on.`,
      `At each door ${others.length} other users watch the same keys meanwhile: each must have one event from before and one from after, and no end. Where auth is switched on or off there is nobody else: it is everybody's.`,
      ...machineNotes(),
    ],
    isBroken: noticed > 0 || late.length > 0,
  };
}

async function chooseBinaries(version: string | undefined): Promise<readonly EtcdBinary[]> {
  if (version !== undefined) return [await findChosenEtcd(version)];
  const all = await findEtcdBinaries();
  return [...new Set([all.at(0), all.at(-1)])].filter((one) => one !== undefined);
}

async function measure(binary: EtcdBinary, rounds: number): Promise<Outcome[]> {
  await using undo = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-revocation-"));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, "pw");
  const cluster = undo.use(await startEtcdCluster({ binary, args: ["--bcrypt-cost=4"] }));
  await enableAuth(cluster, others);
  const administrator = undo.use(administratorOf(cluster));
  await administrator.letRead("others", others);
  const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
  undo.defer(() => agent.destroy());
  const doors: RevocationDoor[] = [];
  for (const { tier, hasUser } of sides) {
    const [port = 0, adminPort = 0] = await findFreePorts(2);
    const identity = hasUser ? ["--user=root", `--password-file=${passwordFile}`] : [];
    const flags = [`--endpoints=${cluster.endpoints.join(",")}`, "--auth-recheck=5s", ...identity];
    const door = undo.use(new RevocationDoor({ tier, hasUser, ports: [port, adminPort], flags, agent }));
    await door.start();
    doors.push(door);
  }
  const outcomes: Outcome[] = [];
  for (const blow of blows)
    for (let round = 0; round < rounds; round++)
      outcomes.push(
        ...(await deal(blow, administrator, doors)).map((one) => ({ etcd: binary.version, ...one })),
      );
  return outcomes;
}

/** One blow, at all doors at once. */
async function deal(
  blow: Blow,
  administrator: Administrator,
  doors: readonly RevocationDoor[],
): Promise<Omit<Outcome, "etcd">[]> {
  using undo = new DisposableStack();
  const { victim, act, restore } = await blow.prepare(administrator);
  const open = async (door: RevocationDoor, user: string | undefined): Promise<WatchedUser> =>
    undo.use(await door.watchAs(user));
  const places = await Promise.all(
    doors.map(async (door) => ({
      door,
      watch: await open(door, victim),
      others: await Promise.all((blow.hasOthers ? others : []).map((user) => open(door, user))),
    })),
  );
  await administrator.put();
  const sentAt = performance.now();
  await act();
  const patienceMs = blow.mustEnd ? endsWithinMs : goesOnMs;
  const ended = await Promise.all(places.map(({ watch }) => watch.endsWithin(patienceMs)));
  await restore?.();
  await administrator.put();
  return await Promise.all(
    places.map(async ({ door, others }, i) => {
      const untouched = await Promise.all(others.map((watch) => watch.hasExactly(2)));
      const endedAt = ended[i];
      return {
        ...{ blow, door, noticed: untouched.filter((isUntouched) => !isUntouched).length },
        endedAfterMs: endedAt === undefined ? undefined : endedAt - sentAt,
      };
    }),
  );
}

/** Of one blow at one etcd. */
function toRows(outcomes: readonly Outcome[]): Row[] {
  const byDoor = Map.groupBy(outcomes, ({ door }) => door.name);
  return [...byDoor].flatMap(([name, all]) => {
    const [first] = all;
    if (first === undefined) return [];
    const what = `${first.blow.name}, etcd ${first.etcd}`;
    const times = all.flatMap(({ endedAfterMs }) => endedAfterMs ?? []);
    const lasting = all.length - times.length;
    return [
      ...(times.length === 0
        ? []
        : [
            { ...count(`${what}: until the watch ends`, name, 0, "ms"), summary: summarise(times) },
            count(`${what}: the same, at worst of ${times.length}`, name, Math.max(...times), "ms"),
          ]),
      ...(lasting === 0 ? [] : [count(`${what}: watches that went on, of ${all.length}`, name, lasting)]),
    ];
  });
}

function count(what: string, side: string, value: number, unit = ""): Row {
  return { what, side, unit, summary: summarise([value]) };
}
