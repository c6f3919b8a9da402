import type { Clock, Timer } from "../ports.ts";

/** How much of one kind of work may be under way at etcd, and how much may wait for its turn. */
export interface AdmissionLimits {
  /** Most at once. */
  readonly concurrent: number;
  /** Most that wait, over all clients. */
  readonly queue: number;
  /** Longest wait, in milliseconds. */
  readonly maxWaitMs: number;
}

/** Why work was turned away: too many wait already, or it has waited for too long. */
export type TurnedAway = "full" | "late";

/** Somebody's piece of work. */
export interface Work<C> {
  /** Whose it is: clients take turns. Compared by identity. */
  readonly client: C;
  /** It may begin. Called at most once, perhaps from inside `enter`. */
  start(): void;
  /** It may not. Called instead of `start`, perhaps from inside `enter`. */
  turnAway(why: TurnedAway): void;
}

/**
 *     waiting ── its turn ──▶ working ── leave ──▶ gone
 *        └── leave, turned away ─────────────────▶ gone
 */
type Stage =
  | { readonly t: "waiting"; readonly timer: Timer; readonly since: number }
  | { readonly t: "working" }
  | { readonly t: "gone" };

interface Place<C> {
  readonly work: Work<C>;
  stage: Stage;
}

/**
 * Bounds the work of one kind that etcd gets at once. What is over the bound waits in a line for each client, and the clients
 * take turns, so that one with a thousand requests costs another with one request one turn. When too many wait, the client
 * with the longest line loses its last.
 */
export class Admission<C> {
  readonly #limits: AdmissionLimits;
  readonly #clock: Clock;
  /** Lines by client, in the order of their turns. None is empty. */
  readonly #lines = new Map<C, Place<C>[]>();
  #working = 0;
  #waiting = 0;
  /** Pieces of work turned away so far. */
  turnedAway = 0;
  /** Pieces of work that had to wait and whose turn came, and how long they waited together, in milliseconds. */
  waited = 0;
  waitedMs = 0;

  constructor(limits: AdmissionLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Under way now. */
  get working(): number {
    return this.#working;
  }

  /** In lines now. */
  get waiting(): number {
    return this.#waiting;
  }

  /** @returns to be called when the work is done, and when it is no longer wanted; a second time is nothing */
  enter(work: Work<C>): () => void {
    const place: Place<C> = { work, stage: { t: "gone" } };
    if (this.#working < this.#limits.concurrent && this.#waiting === 0) this.#start(place);
    else this.#queue(place);
    return () => this.#leave(place);
  }

  #queue(place: Place<C>): void {
    if (this.#limits.queue === 0) {
      this.#turnAway(place, "full");
      return;
    }
    const { client } = place.work;
    const line = this.#lines.get(client);
    if (line === undefined) this.#lines.set(client, [place]);
    else line.push(place);
    this.#waiting++;
    const timer = this.#clock.setTimer(this.#limits.maxWaitMs, () => {
      this.#takeOut(place);
      this.#turnAway(place, "late");
    });
    place.stage = { t: "waiting", timer, since: this.#clock.nowMs() };
    if (this.#waiting <= this.#limits.queue) return;
    const last = this.#longest().at(-1);
    if (last === undefined) return;
    this.#takeOut(last);
    this.#turnAway(last, "full");
  }

  #longest(): Place<C>[] {
    let longest: Place<C>[] = [];
    for (const line of this.#lines.values()) if (line.length >= longest.length) longest = line;
    return longest;
  }

  #takeOut(place: Place<C>): void {
    if (place.stage.t !== "waiting") return;
    place.stage.timer.stop();
    place.stage = { t: "gone" };
    const { client } = place.work;
    const line = this.#lines.get(client) ?? [];
    line.splice(line.indexOf(place), 1);
    if (line.length === 0) this.#lines.delete(client);
    this.#waiting--;
  }

  #turnAway(place: Place<C>, why: TurnedAway): void {
    this.turnedAway++;
    place.work.turnAway(why);
  }

  #start(place: Place<C>): void {
    place.stage = { t: "working" };
    this.#working++;
    place.work.start();
  }

  #leave(place: Place<C>): void {
    if (place.stage.t === "waiting") {
      this.#takeOut(place);
    } else if (place.stage.t === "working") {
      place.stage = { t: "gone" };
      this.#working--;
      this.#startNext();
    }
  }

  #startNext(): void {
    while (this.#working < this.#limits.concurrent) {
      const [turn] = this.#lines;
      if (turn === undefined) return;
      const [client, line] = turn;
      const [place] = line;
      if (place === undefined) return;
      if (place.stage.t === "waiting") {
        this.waited++;
        this.waitedMs += this.#clock.nowMs() - place.stage.since;
      }
      this.#takeOut(place);
      // Its next comes after everybody else's first.
      if (line.length > 0) {
        this.#lines.delete(client);
        this.#lines.set(client, line);
      }
      this.#start(place);
    }
  }
}
