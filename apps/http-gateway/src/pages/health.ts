import {
  AlarmRequestSchema,
  AlarmResponseSchema,
  AlarmType,
  create,
  etcdErrors,
  fromBinary,
  GrpcStatus,
  RangeRequestSchema,
  rpcOf,
  toBinary,
} from "@etcd-edge/proto";
import { ClientPresence } from "../http/client-presence.ts";
import type { JsonProfile } from "../profile/json-profile.ts";
import { type Upstream, UpstreamError } from "../upstream/upstream.ts";

/** Time that one question to etcd may take. */
const questionTimeoutMs = 5_000;

export interface HealthQuery {
  /** Names of alarms that do not count: `NOSPACE`, `CORRUPT`. */
  readonly exclude: ReadonlySet<string>;
  /** Ask one member what it has instead of the quorum. */
  readonly serializable: boolean;
}

/** Whether etcd can be used through this gateway; the reason if not, in the words of etcd's `/health`. */
export async function checkHealth(upstream: Upstream, query: HealthQuery): Promise<string | undefined> {
  return (await findAlarm(upstream, query)) ?? (await tryRead(upstream, query));
}

/** The body of `/health`, which a monitoring tool may compare as text. */
export function healthBody(profile: JsonProfile, reason: string | undefined): string {
  const healthy = reason === undefined;
  if (profile.generation === "v1") return healthy ? '{"health":"true"}' : '{"health":"false"}\n';
  return healthy ? '{"health":"true","reason":""}' : `${JSON.stringify({ health: "false", reason })}\n`;
}

async function findAlarm(upstream: Upstream, query: HealthQuery): Promise<string | undefined> {
  const request = toBinary(AlarmRequestSchema, create(AlarmRequestSchema));
  let bytes: Uint8Array;
  try {
    bytes = await ask(upstream, "/etcdserverpb.Maintenance/Alarm", request);
  } catch {
    // Not for our eyes with authentication on, or nobody answers: then the read below says so.
    return undefined;
  }
  const { alarms } = fromBinary(AlarmResponseSchema, bytes);
  const names = alarms.map(({ alarm }) => alarmName(alarm)).filter((name) => !query.exclude.has(name));
  return names[0] === undefined ? undefined : `ALARM ${names[0]}`;
}

function alarmName(alarm: AlarmType): string {
  if (alarm === AlarmType.NOSPACE) return "NOSPACE";
  return alarm === AlarmType.CORRUPT ? "CORRUPT" : "UNKNOWN";
}

async function tryRead(upstream: Upstream, query: HealthQuery): Promise<string | undefined> {
  const range = create(RangeRequestSchema, {
    key: Uint8Array.of(0),
    limit: 1n,
    keysOnly: true,
    serializable: query.serializable,
  });
  try {
    await ask(upstream, "/etcdserverpb.KV/Range", toBinary(RangeRequestSchema, range));
    return undefined;
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    if (isRefusal(error)) return undefined;
    return error.message === etcdErrors.noLeader.message ? "RAFT NO LEADER" : `RANGE ERROR:${error.message}`;
  }
}

/** A refusal for want of rights is an answer that took the quorum: etcd is well. */
function isRefusal(error: UpstreamError): boolean {
  return error.status === GrpcStatus.PERMISSION_DENIED || error.message === etcdErrors.userEmpty.message;
}

async function ask(
  upstream: Upstream,
  path: "/etcdserverpb.Maintenance/Alarm" | "/etcdserverpb.KV/Range",
  request: Uint8Array,
): Promise<Uint8Array> {
  const presence = ClientPresence.until(AbortSignal.timeout(questionTimeoutMs));
  const call = { rpc: rpcOf(path), metadata: [], timeoutMs: questionTimeoutMs, presence };
  return (await upstream.unary(call, request)).message;
}
