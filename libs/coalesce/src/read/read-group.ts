import { type EtcdError, etcdErrors, type RangeShape } from "@etcd-edge/proto";
import { Ask } from "./ask.ts";
import { fly, type Mishap } from "./flight.ts";
import type { ReadFailure, ReadScope, SharedRead } from "./ports.ts";
import type { ReadContext } from "./read-context.ts";
import { findBlame } from "./refusals.ts";

const maxUnsent = 3;
const learnerMs = 10_000;
const mostKeysOfSmall = 16;

/** A read that travels by itself, and the one behind it. */
interface Line {
  /** In the air: nobody joins it. */
  readonly flying: Ask;
  next: Ask | undefined;
}

/**
 * The reads of one scope.
 *
 *                    ┌── a member takes a Txn ──▶ batch in the air ─┬─ answered ──▶ settled
 *     small ─▶ waiting                              ▲               ├─ one of them is to blame, or the connection
 *              (equal ones join)                    │               │  was lost ──▶ each alone
 *                    └── it takes none ─┐     all that wait         └─ it never left, too many ──▶ waiting
 *                                       ▼     when one lands
 *     large ──────────────────────▶ alone in the air, and behind it one that equal ones join
 *
 * A small read with nobody before it leaves at once. Who comes while a flight is in the air waits for it to land, or to take
 * too long, and they all leave together. Large ones wait only for their equals.
 */
export class ReadGroup<M> {
  readonly #context: ReadContext<M>;
  readonly #scope: ReadScope;
  readonly #onIdle: () => void;
  /** Small ones. */
  readonly #waiting = new Map<string, Ask>();
  /** Large ones of this turn. */
  readonly #fresh = new Map<string, Ask>();
  readonly #lines = new Map<string, Line>();
  /** Txns in the air at each member. */
  readonly #flights = new Map<M, number>();
  /** Members that have as many as may be. */
  readonly #full = new Set<M>();
  /** Flights for which those who wait still wait. */
  #holding = 0;

  /** @param onIdle called when nothing waits and nothing is in the air any more */
  constructor(context: ReadContext<M>, scope: ReadScope, onIdle: () => void) {
    this.#context = context;
    this.#scope = scope;
    this.#onIdle = onIdle;
  }

  /**
   * Takes a read. It leaves with the next `dispatch`.
   * @returns how to leave
   */
  add(key: string, shape: RangeShape, read: SharedRead): () => void {
    const { large, counts } = this.#context;
    counts.reads++;
    const isSmall =
      shape.isOfNow &&
      (shape.isPoint || (shape.limit > 0 && shape.limit <= mostKeysOfSmall)) &&
      !large.has(key);
    const standing = isSmall ? this.#waiting.get(key) : (this.#lines.get(key)?.next ?? this.#fresh.get(key));
    if (standing !== undefined) {
      counts.joined++;
      return standing.join(read);
    }
    const ask = new Ask(key, read.request);
    const leave = ask.join(read);
    if (isSmall) this.#enqueue(ask);
    else this.#fresh.set(key, ask);
    return leave;
  }

  /** Sends what may leave. */
  dispatch(): void {
    for (const ask of this.#fresh.values()) if (!ask.isAbandoned) this.#line(ask);
    this.#fresh.clear();
    while (this.#waiting.size > 0 && this.#holding === 0) {
      const member = this.#pick(this.#full);
      if (member === undefined) {
        if (this.#flights.size > 0) return;
        for (const ask of this.#takeAll()) this.#giveBack(ask);
      } else if (this.#context.members.takesTxn(member)) {
        this.#sendBatch(member);
      } else {
        for (const ask of this.#takeAll()) this.#line(ask);
      }
    }
    if (this.#lines.size === 0 && this.#flights.size === 0) this.#onIdle();
  }

  // ---- small ones ----

  #enqueue(ask: Ask): void {
    const standing = this.#waiting.get(ask.key);
    if (standing !== undefined) {
      standing.absorb(ask);
      return;
    }
    this.#waiting.set(ask.key, ask);
    ask.onAbandoned = () => this.#waiting.delete(ask.key);
  }

  #takeAll(): Ask[] {
    const asks = [...this.#waiting.values()];
    this.#waiting.clear();
    return asks;
  }

  #sendBatch(member: M): void {
    const { maxOps, limits } = this.#context;
    const asks: Ask[] = [];
    let bytes = 0;
    for (const ask of this.#waiting.values()) {
      bytes += ask.request.length;
      if (asks.length > 0 && bytes > limits.maxRequestBytes) break;
      asks.push(ask);
      if (asks.length >= maxOps) break;
    }
    for (const ask of asks) this.#waiting.delete(ask.key);
    this.#count(member, 1);
    const release = this.#hold();
    fly(this.#context, { asks, member, scope: this.#scope, isLone: false }, (mishap) => {
      this.#count(member, -1);
      release();
      if (mishap !== undefined) this.#onMishap(mishap, asks, member);
      this.dispatch();
    });
  }

  /** @returns how to let those who wait go; done anyway when the flight takes too long */
  #hold(): () => void {
    const { clock, limits } = this.#context;
    let isReleased = false;
    const release = (): void => {
      timer.stop();
      if (isReleased) return;
      isReleased = true;
      this.#holding--;
    };
    const timer = clock.setTimer(limits.holdMs, () => {
      release();
      this.dispatch();
    });
    this.#holding++;
    return release;
  }

  #count(member: M, change: 1 | -1): void {
    const flights = (this.#flights.get(member) ?? 0) + change;
    if (flights === 0) this.#flights.delete(member);
    else this.#flights.set(member, flights);
    if (flights >= this.#context.limits.flightsPerMember) this.#full.add(member);
    else this.#full.delete(member);
  }

  #giveBack(ask: Ask): void {
    this.#context.counts.aside += ask.size;
    ask.settle({ t: "aside" });
  }

  // ---- alone ----

  /** Sends it unless its equal is in the air; then it is next. */
  #line(ask: Ask): void {
    const line = this.#lines.get(ask.key);
    if (line === undefined) {
      this.#sendAlone(ask);
    } else if (line.next === undefined) {
      line.next = ask;
      ask.onAbandoned = () => {
        if (line.next === ask) line.next = undefined;
      };
    } else {
      line.next.absorb(ask);
    }
  }

  #sendAlone(ask: Ask): void {
    const member = this.#pick(nobody);
    if (member === undefined) {
      this.#giveBack(ask);
      return;
    }
    const line: Line = { flying: ask, next: undefined };
    this.#lines.set(ask.key, line);
    fly(this.#context, { asks: [ask], member, scope: this.#scope, isLone: true }, (mishap) => {
      this.#lines.delete(ask.key);
      if (line.next !== undefined) this.#line(line.next);
      if (mishap !== undefined) this.#onMishap(mishap, [ask], member);
      this.dispatch();
    });
  }

  #pick(excluded: ReadonlySet<M>): M | undefined {
    const { avoided, clock, members } = this.#context;
    if (avoided.size === 0) return members.pick(excluded);
    for (const [member, untilMs] of avoided) if (untilMs <= clock.nowMs()) avoided.delete(member);
    return members.pick(new Set([...excluded, ...avoided.keys()]));
  }

  // ---- what may go wrong ----

  #onMishap(mishap: Mishap, asks: readonly Ask[], member: M): void {
    switch (mishap.t) {
      case "refused":
        this.#onRefused(mishap.failure, asks, member);
        break;
      case "unsent":
        for (const ask of asks) this.#onUnsent(ask);
        break;
      case "lost":
        for (const ask of asks) this.#onLost(ask, mishap.failure);
        break;
      case "late":
        // Those who have time left hear what etcd says of a read that found no quorum in time.
        for (const ask of asks) ask.settle({ t: "failed", failure: timedOut });
        break;
      default:
        mishap satisfies never;
    }
  }

  #onRefused(failure: ReadFailure, asks: readonly Ask[], member: M): void {
    const blame = findBlame(failure);
    if (blame === "learner") {
      this.#context.avoided.set(member, this.#context.clock.nowMs() + learnerMs);
      for (const ask of asks) this.#onUnsent(ask);
    } else if (asks.length === 1 || blame === "everyone") {
      for (const ask of asks) ask.settle({ t: "failed", failure });
    } else if (blame === "size") {
      this.#context.maxOps = Math.max(1, Math.min(this.#context.maxOps, Math.floor(asks.length / 2)));
      for (const ask of asks) this.#again(ask);
    } else {
      for (const ask of asks) {
        this.#context.counts.fallbacks++;
        if (!ask.isAbandoned) this.#line(ask);
      }
    }
  }

  #onUnsent(ask: Ask): void {
    ask.unsentCount++;
    if (ask.unsentCount > maxUnsent) this.#giveBack(ask);
    else this.#again(ask);
  }

  #again(ask: Ask): void {
    if (!ask.isAbandoned) this.#enqueue(ask);
  }

  /** Rule 13: what was in the air may be what the member died of. It goes out once more at most, and never with others. */
  #onLost(ask: Ask, failure: ReadFailure): void {
    this.#context.suspects.noteLoss(ask.key, this.#context.clock.nowMs());
    if (ask.hasBeenLost) {
      ask.settle({ t: "failed", failure });
    } else if (!ask.isAbandoned) {
      ask.hasBeenLost = true;
      this.#line(ask);
    }
  }
}

const nobody: ReadonlySet<never> = new Set<never>();
const timedOut: EtcdError = etcdErrors.timeout;
