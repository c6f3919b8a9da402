import { create, RangeRequestSchema, readRangeShape, toBinary } from "@etcd-edge/proto";
import { concatBytes } from "../range/bytes.ts";
import type { ReadFailure, ReadResult, Reads } from "../read/ports.ts";
import type { CacheScope } from "./cached-read.ts";
import type { HeldScope } from "./held-ranges.ts";
import { loadSnapshot } from "./load-snapshot.ts";

/** A range could not be read. */
class LoadError extends Error {
  override readonly name = "LoadError";
  readonly failure: ReadFailure | undefined;

  constructor(result: ReadResult) {
    super(result.t === "failed" ? result.failure.message : "no etcd endpoint is available");
    this.failure = result.t === "failed" ? result.failure : undefined;
  }
}

/** How ranges are held for each scope: what loads them, and what they are proven by. */
export class HeldScopes {
  readonly #reads: Reads;
  readonly #toRequest: (request: Uint8Array) => Uint8Array;
  readonly #known = new WeakMap<CacheScope, HeldScope>();

  /** @param toRequest makes of a RangeRequest as clients send it one as etcd gets it */
  constructor(reads: Reads, toRequest: (request: Uint8Array) => Uint8Array) {
    this.#reads = reads;
    this.#toRequest = toRequest;
  }

  of(scope: CacheScope): HeldScope {
    let held = this.#known.get(scope);
    if (held === undefined) {
      held = this.#create(scope);
      this.#known.set(scope, held);
    }
    return held;
  }

  #create(scope: CacheScope): HeldScope {
    return {
      id: scope.id,
      openHub: () => scope.openHub(),
      load: (_hub, range, bounds) => loadSnapshot((request) => this.#ask(scope, request), range, bounds),
      probeOf: (key) =>
        this.#toRequest(
          toBinary(RangeRequestSchema, create(RangeRequestSchema, { key, countOnly: true, limit: 1n })),
        ),
    };
  }

  /** @throws LoadError */
  #ask(scope: CacheScope, page: Uint8Array): Promise<Uint8Array> {
    const request = this.#toRequest(page);
    const shape = { ...readRangeShape(request), isOfNow: false };
    return new Promise((resolve, reject) => {
      const settle = (result: ReadResult): void => {
        if (result.t === "answered") resolve(concatBytes(result.head, result.body));
        else reject(new LoadError(result));
      };
      this.#reads.read(scope.read, shape, { request, deadlineMs: undefined, settle });
    });
  }
}
