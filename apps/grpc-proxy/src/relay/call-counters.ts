import type { Rpc } from "@etcd-edge/proto";

/** Counts of one method, as go-grpc-prometheus has them: plain numbers, read when metrics are scraped. */
export interface MethodCounts {
  readonly type: "unary" | "server_stream" | "bidi_stream";
  readonly service: string;
  readonly method: string;
  started: number;
  received: number;
  sent: number;
  /** By gRPC code. */
  readonly handled: Map<number, number>;
}

/** The record of one call: count messages on it, end it once. */
export interface CallRecord {
  readonly counts: MethodCounts;
  end(code: number): void;
}

/** Counters of all calls, by method. A method appears with its first call. */
export interface CallCounters {
  start(rpc: Rpc | undefined, path: string): CallRecord;
  all(): Iterable<MethodCounts>;
}

const types = { unary: "unary", serverStream: "server_stream", bidi: "bidi_stream" } as const;

// Strangers choose paths: those that etcd does not have share one row.
const unknownPath = "/unknown/unknown";

export function createCallCounters(): CallCounters {
  const rows = new Map<string, MethodCounts>();
  return {
    start: (rpc, path) => {
      const key = rpc === undefined ? unknownPath : path;
      let counts = rows.get(key);
      if (counts === undefined) {
        counts = {
          type: rpc === undefined ? "bidi_stream" : types[rpc.kind],
          service: rpc?.service ?? "unknown",
          method: rpc?.method ?? "unknown",
          started: 0,
          received: 0,
          sent: 0,
          handled: new Map(),
        };
        rows.set(key, counts);
      }
      counts.started++;
      return new Call(counts);
    },
    all: () => rows.values(),
  };
}

class Call implements CallRecord {
  readonly counts: MethodCounts;
  #isOpen = true;

  constructor(counts: MethodCounts) {
    this.counts = counts;
  }

  end(code: number): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { handled } = this.counts;
    handled.set(code, (handled.get(code) ?? 0) + 1);
  }
}
