import { type EtcdError, etcdErrors, type HeaderView, type RangeShape } from "@etcd-edge/proto";
import type { HistoryMark } from "../watch/history.ts";
import { Ask } from "./ask.ts";
import { fly, type Mishap } from "./flight.ts";
import type { LocalSource } from "./local-read.ts";
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
 *     any size, of a range that is held here ─▶ waiting, then riding: nothing of a batch but its header, which says how far
 *                                   the range has to be ─▶ settled from there, or asked after all
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
  /** Groups of riders that wait for the range they are answered from. */
  #covering = 0;

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
    const local = read.local?.source.isUsable === true ? read.local : undefined;
    const isTogether = isSmall || local !== undefined;
    const standing = isTogether
      ? this.#waiting.get(key)
      : (this.#lines.get(key)?.next ?? this.#fresh.get(key));
    if (standing !== undefined) {
      counts.joined++;
      return standing.join(read);
    }
    const ask = new Ask(key, read.request, isSmall, local);
    const leave = ask.join(read);
    if (isTogether) this.#enqueue(ask);
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
    this.#checkIdle();
  }

  #checkIdle(): void {
    const isIdle = this.#lines.size === 0 && this.#flights.size === 0 && this.#covering === 0;
    if (isIdle && this.#waiting.size === 0 && this.#fresh.size === 0) this.#onIdle();
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
    const riders: Ask[] = [];
    /** Large ones whose range was held when they came, and is not any more. */
    const strays: Ask[] = [];
    let bytes = 0;
    for (const ask of this.#waiting.values()) {
      if (ask.local?.source.isUsable === true) {
        riders.push(ask);
        continue;
      }
      if (!ask.isSmall) {
        strays.push(ask);
        continue;
      }
      bytes += ask.request.length;
      if (asks.length >= maxOps || (asks.length > 0 && bytes > limits.maxRequestBytes)) continue;
      asks.push(ask);
    }
    for (const ask of asks) this.#waiting.delete(ask.key);
    for (const ask of riders) this.#waiting.delete(ask.key);
    for (const ask of strays) {
      this.#waiting.delete(ask.key);
      ask.local = undefined;
      this.#line(ask);
    }
    if (asks.length === 0 && riders.length === 0) return;
    if (asks.length === 0) asks.push(this.#carrierOf(riders));
    const marks = riders.map((ask) => ask.local?.source.mark);
    this.#count(member, 1);
    const release = this.#hold();
    const flight = { asks, riders, member, scope: this.#scope, isLone: false };
    fly(this.#context, flight, (mishap, header) => {
      this.#count(member, -1);
      release();
      if (header !== undefined) this.#ride(riders, header, marks);
      else if (mishap !== undefined) this.#onMishap(mishap, asks, member, riders);
      this.dispatch();
    });
  }

  /**
   * What etcd reads where riders are alone: one of them, if it is small; a lone one is then answered as if nothing were held.
   * Else the cheapest read there is. Nobody waits for that one's answer.
   */
  #carrierOf(riders: Ask[]): Ask {
    const small = riders.findIndex((ask) => ask.isSmall);
    const [carrier] = small < 0 ? [] : riders.splice(small, 1);
    return carrier ?? new Ask(probeKey, riders[0]?.local?.source.probe ?? nothing, true);
  }

  /** A quorum has said how far the store is, after the riders had come. */
  #ride(riders: readonly Ask[], header: HeaderView, marks: readonly (HistoryMark | undefined)[]): void {
    const bySource = new Map<LocalSource, { readonly asks: Ask[]; readonly sent: HistoryMark }>();
    for (const [index, ask] of riders.entries()) {
      const source = ask.local?.source;
      const sent = marks[index];
      if (source === undefined || sent === undefined || ask.isAbandoned) continue;
      const group = bySource.get(source);
      if (group === undefined) bySource.set(source, { asks: [ask], sent });
      else group.asks.push(ask);
    }
    for (const [source, { asks, sent }] of bySource) this.#cover(source, asks, header, sent);
  }

  #cover(source: LocalSource, asks: readonly Ask[], header: HeaderView, sent: HistoryMark): void {
    this.#covering++;
    let isOver = false;
    const finish = (): boolean => {
      if (isOver) return false;
      isOver = true;
      this.#covering--;
      for (const ask of asks) ask.onAbandoned = undefined;
      return true;
    };
    const stop = source.cover(header, sent, (isCovered) => {
      if (!finish()) return;
      for (const ask of asks) {
        if (isCovered) this.#answerHere(ask);
        else this.#uncovered(ask);
      }
      if (!isCovered) this.dispatch();
      else this.#checkIdle();
    });
    if (isOver) return;
    const onAbandoned = (): void => {
      if (!asks.every((ask) => ask.isAbandoned) || !finish()) return;
      stop();
      this.#checkIdle();
    };
    for (const ask of asks) ask.onAbandoned = onAbandoned;
  }

  #answerHere(ask: Ask): void {
    const { local } = ask;
    if (local === undefined || ask.isAbandoned) return;
    this.#context.counts.local += ask.size;
    const { source } = local;
    ask.settle({
      t: "answered",
      head: source.head(),
      body: local.body(),
      revision: source.revision,
      isLocal: true,
    });
  }

  /** It is asked after all, and not again from here. */
  #uncovered(ask: Ask): void {
    if (ask.isAbandoned) return;
    this.#context.counts.uncovered++;
    ask.local = undefined;
    if (ask.isSmall) this.#enqueue(ask);
    else this.#line(ask);
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
    const flight = { asks: [ask], riders: [], member, scope: this.#scope, isLone: true };
    fly(this.#context, flight, (mishap) => {
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

  #onMishap(mishap: Mishap, asks: readonly Ask[], member: M, riders: readonly Ask[] = []): void {
    switch (mishap.t) {
      case "refused":
        this.#onRefused(mishap.failure, asks, member);
        for (const ask of riders) this.#onCarrierRefused(ask, mishap.failure);
        break;
      case "unsent":
        for (const ask of [...asks, ...riders]) this.#onUnsent(ask);
        break;
      case "lost":
        for (const ask of asks) this.#onLost(ask, mishap.failure);
        for (const ask of riders) this.#onUnsent(ask);
        break;
      case "late":
        // Those who have time left hear what etcd says of a read that found no quorum in time.
        for (const ask of [...asks, ...riders]) ask.settle({ t: "failed", failure: timedOut });
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

  /** What was said of one of those that etcd was to read concerns no rider; each is asked by itself. */
  #onCarrierRefused(ask: Ask, failure: ReadFailure): void {
    if (findBlame(failure) === "everyone") ask.settle({ t: "failed", failure });
    else this.#uncovered(ask);
  }

  #onUnsent(ask: Ask): void {
    ask.unsentCount++;
    if (ask.unsentCount > maxUnsent) this.#giveBack(ask);
    else this.#again(ask);
  }

  #again(ask: Ask): void {
    if (ask.isAbandoned) return;
    if (ask.local?.source.isUsable !== true) ask.local = undefined;
    if (ask.isSmall || ask.local !== undefined) this.#enqueue(ask);
    else this.#line(ask);
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

/** Of the read that carries riders: no client's request is empty. */
const probeKey = "";
const nothing = new Uint8Array(0);
const nobody: ReadonlySet<never> = new Set<never>();
const timedOut: EtcdError = etcdErrors.timeout;
