import { Admission, type TurnedAway } from "@etcd-edge/coalesce";
import { readRangeShape } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { type Status, StatusCode } from "@etcd-edge/transport";

/**
 * Kinds of work that etcd is given a bounded amount of at once.
 * - `read`: reads of one key, or of few, that are not shared.
 * - `range`: reads of many keys.
 * - `write`: whatever changes the store.
 */
export type WorkKind = "read" | "range" | "write";

/** Bounds. */
export interface AdmissionOptions {
  /** Most at once; 0 is no bound. */
  readonly concurrent: Readonly<Record<WorkKind, number>>;
  /** Most that wait, of each kind. */
  readonly queue: number;
  readonly maxWaitMs: number;
}

/** Names as clients and metrics see them. */
const names: Readonly<Record<WorkKind, string>> = { read: "reads", range: "ranges", write: "writes" };
const mostKeysOfSmall = 16;
/** gRPC's own hint (proposal A6): when to try again, in milliseconds. */
const retryHint = ["grpc-retry-pushback-ms", "1000"];

/** What waits for etcd and what does not, by kind of work. Clients are told apart by whatever identifies them. */
export class Admissions {
  readonly #options: AdmissionOptions;
  readonly #byKind = new Map<WorkKind, Admission<unknown>>();

  constructor(options: AdmissionOptions, clock: Clock) {
    this.#options = options;
    const { queue, maxWaitMs } = options;
    for (const kind of ["read", "range", "write"] as const) {
      const concurrent = options.concurrent[kind];
      if (concurrent > 0) this.#byKind.set(kind, new Admission({ concurrent, queue, maxWaitMs }, clock));
    }
  }

  /** The bound of a kind of work, if it has one. */
  of(kind: WorkKind): Admission<unknown> | undefined {
    return this.#byKind.get(kind);
  }

  /** Every kind that is bounded, by its name. */
  *all(): Iterable<readonly [string, Admission<unknown>]> {
    for (const [kind, admission] of this.#byKind) yield [names[kind], admission];
  }

  /** What a client is told that was turned away: RESOURCE_EXHAUSTED, which flag says so, and when to come again. */
  refusal(kind: WorkKind, why: TurnedAway): Required<Status> {
    const { queue, maxWaitMs, concurrent } = this.#options;
    const message =
      why === "full"
        ? `etcd-edge: too many ${names[kind]} wait for etcd (--max-queued-requests=${queue})`
        : `etcd-edge: ${names[kind]} wait for etcd for more than --max-queue-wait=${maxWaitMs}ms (--max-concurrent-${names[kind]}=${concurrent[kind]})`;
    return { code: StatusCode.resourceExhausted, message, metadata: retryHint };
  }
}

/** Which kind of work a RangeRequest is. Bytes that are none are etcd's to refuse, and cost it nothing. */
export function kindOfRange(request: Uint8Array): "read" | "range" {
  try {
    const { isPoint, limit } = readRangeShape(request);
    return isPoint || (limit > 0 && limit <= mostKeysOfSmall) ? "read" : "range";
  } catch {
    return "read";
  }
}
