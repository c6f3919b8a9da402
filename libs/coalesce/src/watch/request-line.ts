import type { HeaderView, WatchCreateRequest } from "@etcd-edge/proto";
import type { TimeLimit } from "./time-limit.ts";
import { type CreateOutcome, releaseOutcome } from "./watch-create.ts";

/** What a client asked for, and what is to be answered now. */
export type WatchAsk =
  | { readonly t: "create"; readonly request: WatchCreateRequest; readonly outcome: CreateOutcome }
  | { readonly t: "cancel"; readonly watchId: bigint }
  | { readonly t: "progress" };

type Waiting =
  | { readonly t: "create"; readonly request: WatchCreateRequest; outcome: CreateOutcome | undefined }
  | Exclude<WatchAsk, { readonly t: "create" }>;

const timedOut = "etcdserver: request timed out";

/** Who answers. */
export interface RequestHost {
  /** How long a create may take (rule 25). */
  readonly createLimit: TimeLimit;
  /** Decides a create. @param isGone whether nobody waits for it any more */
  decide(request: WatchCreateRequest, isGone: () => boolean): Promise<CreateOutcome>;
  /** Of a refusal for which etcd gave none: the last one that the client saw. */
  header(): HeaderView;
  /** Its turn has come. */
  answer(ask: WatchAsk): void;
}

/**
 * The requests of a stream, in the order they came: each is answered when those before it are (etcd handles the requests of a
 * stream one by one), though the work for it has begun.
 */
export class RequestLine {
  readonly #host: RequestHost;
  readonly #waiting: Waiting[] = [];
  #isClosed = false;

  constructor(host: RequestHost) {
    this.#host = host;
  }

  get length(): number {
    return this.#waiting.length;
  }

  push(ask: WatchAsk): void {
    this.#waiting.push(ask);
    this.#answer();
  }

  /** One that has to be decided first. */
  pushCreate(request: WatchCreateRequest): void {
    const waiting: Waiting & { t: "create" } = { t: "create", request, outcome: undefined };
    void this.#decide(waiting);
    this.#waiting.push(waiting);
    this.#answer();
  }

  /** Nothing is answered any more. */
  close(): void {
    this.#isClosed = true;
    for (const one of this.#waiting.splice(0)) if (one.t === "create") releaseOutcome(one.outcome);
  }

  async #decide(waiting: Waiting & { t: "create" }): Promise<void> {
    const host = this.#host;
    let isTimedOut = false;
    const isGone = (): boolean => isTimedOut || this.#isClosed;
    const limit = host.createLimit.begin(() => {
      isTimedOut = true;
      waiting.outcome = { t: "refused", header: host.header(), reason: timedOut };
      this.#answer();
    });
    const outcome = await host.decide(waiting.request, isGone);
    limit.done();
    if (isGone()) {
      releaseOutcome(outcome);
      return;
    }
    const isNameless = outcome.t === "refused" && outcome.header === undefined;
    waiting.outcome = isNameless ? { ...outcome, header: host.header() } : outcome;
    this.#answer();
  }

  /** Answers what can be answered. */
  #answer(): void {
    for (let next = this.#waiting[0]; next !== undefined && !this.#isClosed; next = this.#waiting[0]) {
      if (next.t === "create" && next.outcome === undefined) return;
      this.#waiting.shift();
      this.#host.answer(next as WatchAsk); // its outcome is there
    }
  }
}
