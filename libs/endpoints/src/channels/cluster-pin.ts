import type { Clock, Timer } from "@etcd-edge/runtime";

/** So long nobody of the pinned cluster must have answered before another one is taken for its successor (rule 32). */
export const repinAfterMs = 30_000;

/** What a look at an endpoint said of its cluster: which one, that it does not tell (auth on, or a proxy), or nothing at all. */
export type ClusterAnswer = bigint | "untold" | undefined;

/** What a pin needs of whoever looks at the endpoints. */
export interface ClusterPinPort {
  readonly clock: Clock;
  /** The last answers are from others only, and the time is over: everybody is to be looked at now. */
  lookAgain(): void;
  /** Another cluster has taken the place of the one before. */
  onRepinned(clusterId: bigint, before: bigint): void;
}

/**
 *     choosing ──everybody was looked at, or a majority agrees──▶ pinned ◀─┐
 *                                                                   │      │ nobody of it for 30 s,
 *                                                                   └──────┘ and the others agree
 */
type PinState =
  /** Somebody is believed meanwhile: the first who says anything, until more say otherwise. */
  | { readonly t: "choosing"; readonly believed: bigint | undefined }
  | { readonly t: "pinned"; readonly clusterId: bigint; seenAtMs: number; timer: Timer | undefined };

/**
 * Which cluster the endpoints are of. A stale SRV record or a wrong line in a list can name a member of another one: it
 * is foreign, and gets nothing, unless the cluster that was there is gone for good. `E` names an endpoint.
 *
 * Disposing stops its timer.
 */
export class ClusterPin<E> implements Disposable {
  readonly #port: ClusterPinPort;
  /** What each endpoint said when it was last looked at. */
  readonly #answers = new Map<E, ClusterAnswer>();
  #state: PinState = { t: "choosing", believed: undefined };

  constructor(port: ClusterPinPort) {
    this.#port = port;
  }

  /** The cluster that is believed in; nothing until one was chosen. */
  get clusterId(): bigint | undefined {
    return this.#state.t === "pinned" ? this.#state.clusterId : undefined;
  }

  /** What an endpoint last said. */
  answerOf(endpoint: E): ClusterAnswer {
    return this.#answers.get(endpoint);
  }

  /** Whoever is at the other end of an endpoint's connections may be another now. */
  forget(endpoint: E): void {
    this.#answers.delete(endpoint);
  }

  /**
   * Takes the result of a look at an endpoint.
   * @param all every endpoint of the set, those that were never looked at included
   */
  saw(endpoint: E, answer: ClusterAnswer, all: ReadonlySet<E>): void {
    this.#answers.set(endpoint, answer === 0n ? "untold" : answer);
    for (const known of [...this.#answers.keys()]) if (!all.has(known)) this.#answers.delete(known);
    if (this.#state.t === "choosing") this.#choose(this.#state, all);
    else this.#confirm(this.#state, answer);
  }

  /** Whether what it last said belongs to another cluster than the one that is believed in. */
  isForeign(endpoint: E): boolean {
    const answer = this.#answers.get(endpoint);
    return typeof answer === "bigint" && !this.accepts(answer);
  }

  /** Whether an answer of this cluster may be believed. 0, which names none, always is. */
  accepts(clusterId: bigint): boolean {
    const believed = this.#state.t === "pinned" ? this.#state.clusterId : this.#state.believed;
    return clusterId === 0n || believed === undefined || clusterId === believed;
  }

  [Symbol.dispose](): void {
    if (this.#state.t === "pinned") this.#state.timer?.stop();
  }

  #choose({ believed }: PinState & { t: "choosing" }, all: ReadonlySet<E>): void {
    const favourite = this.#favourite();
    if (favourite === undefined) return;
    const isMajority = 2 * this.#count(favourite) > all.size;
    const isToldByAll = [...all].every(
      (one) => this.#answers.has(one) && this.#answers.get(one) !== "untold",
    );
    const isAgreed = isMajority || isToldByAll;
    const known = believed === undefined ? 0 : this.#count(believed);
    // Who is only away for a moment does not lose to one who was never believed.
    if (!isAgreed && believed !== undefined && (known === 0 || known >= this.#count(favourite))) return;
    if (isAgreed) this.#pin(favourite);
    else this.#state = { t: "choosing", believed: favourite };
    // Its answers were shown: what is remembered of it is void, as with one that was pinned.
    if (believed !== undefined && believed !== favourite) this.#port.onRepinned(favourite, believed);
  }

  #confirm(state: PinState & { t: "pinned" }, named: ClusterAnswer): void {
    const { clock } = this.#port;
    if (named === state.clusterId) {
      state.seenAtMs = clock.nowMs();
      state.timer?.stop();
      state.timer = undefined;
    }
    const successor = this.#onlyOne();
    if (successor === undefined || successor === state.clusterId) return;
    const leftMs = state.seenAtMs + repinAfterMs - clock.nowMs();
    if (leftMs <= 0) {
      state.timer?.stop();
      this.#pin(successor);
      this.#port.onRepinned(successor, state.clusterId);
    } else {
      state.timer ??= clock.setTimer(leftMs, () => {
        state.timer = undefined;
        this.#port.lookAgain();
      });
    }
  }

  #pin(clusterId: bigint): void {
    this.#state = { t: "pinned", clusterId, seenAtMs: this.#port.clock.nowMs(), timer: undefined };
  }

  /** Whom most endpoints name; of equals the first. */
  #favourite(): bigint | undefined {
    let best: bigint | undefined;
    for (const id of this.#answers.values()) {
      if (typeof id === "bigint" && (best === undefined || this.#count(id) > this.#count(best))) best = id;
    }
    return best;
  }

  #count(clusterId: bigint): number {
    let count = 0;
    for (const id of this.#answers.values()) if (id === clusterId) count++;
    return count;
  }

  /** The cluster that all who answer agree on. Who does not tell may be of any. */
  #onlyOne(): bigint | undefined {
    const named = new Set(this.#answers.values());
    named.delete(undefined);
    const [only] = named;
    return named.size === 1 && typeof only === "bigint" ? only : undefined;
  }
}
