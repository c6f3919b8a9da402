import type { Duplex } from "node:stream";
import type { Cutter } from "./nats-messages.ts";
import type { RelayWeather } from "./relay-weather.ts";

/** A chunk on its way, or the end of the stream. */
interface Passage {
  readonly chunk: Buffer | undefined;
  /** Not before this time. */
  readonly dueAt: number;
}

/** One way through a relay: what is read here is written there, as the weather allows. */
export class RelayDirection {
  readonly #from: Duplex;
  readonly #to: Duplex;
  readonly #weather: () => RelayWeather;
  readonly #chance: () => number;
  #queue: Passage[] = [];
  #timer: NodeJS.Timeout | undefined;
  #held: Buffer | undefined;
  #lost = 0;
  /** Pieces of each kind since the weather changed. */
  readonly #counts = new Map<string, number>();

  /** @param cut makes pieces of what comes, where only some of them may be harmed; otherwise a chunk is a piece */
  constructor(from: Duplex, to: Duplex, weather: () => RelayWeather, chance: () => number, cut?: Cutter) {
    this.#from = from;
    this.#to = to;
    this.#weather = weather;
    this.#chance = chance;
    from.on("data", (chunk: Buffer) => {
      if (cut === undefined) this.#take(chunk);
      else
        for (const { bytes, mayBeHarmed, kind } of cut(chunk))
          if (mayBeHarmed) this.#take(bytes, kind);
          else this.#enqueue(bytes);
    });
    from.on("end", () => this.#enqueue(undefined));
    to.on("close", () => clearTimeout(this.#timer));
    to.on("drain", () => this.#pump());
    // Before it is connected it takes bytes and keeps them; so does its buffer here, without a bound that matters.
  }

  /** How many pieces were lost. */
  get lost(): number {
    return this.#lost;
  }

  weatherChanged(): void {
    this.#counts.clear();
    this.#pump();
  }

  #take(chunk: Buffer, kind = ""): void {
    const { dropPercent = 0, duplicatePercent = 0, reorderPercent = 0, dropEvery } = this.#weather();
    const happens = (percent: number): boolean => percent > 0 && this.#chance() * 100 < percent;
    const isTurn = dropEvery !== undefined && this.#count(kind) % dropEvery === 0;
    if (isTurn || happens(dropPercent)) {
      this.#lost++;
      return;
    }
    if (this.#held === undefined && happens(reorderPercent)) {
      this.#held = chunk;
      return;
    }
    this.#enqueue(chunk);
    if (happens(duplicatePercent)) this.#enqueue(chunk);
    if (this.#held !== undefined) {
      const late = this.#held;
      this.#held = undefined;
      this.#enqueue(late);
    }
  }

  #count(kind: string): number {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return count;
  }

  #enqueue(chunk: Buffer | undefined): void {
    const [least, most] = this.#weather().delayMs ?? [0, 0];
    const delayMs = least + (most - least) * (most > 0 ? this.#chance() : 0);
    const last = this.#queue.at(-1)?.dueAt ?? 0;
    this.#queue.push({ chunk, dueAt: Math.max(last, performance.now() + delayMs) });
    this.#pump();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    if (this.#weather().isPartitioned === true) {
      this.#from.pause();
      return;
    }
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const wait = next.dueAt - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#pump(), wait);
        break;
      }
      this.#queue.shift();
      if (next.chunk === undefined) this.#to.end();
      else if (!this.#to.write(next.chunk)) {
        this.#from.pause();
        return;
      }
    }
    this.#from.resume();
  }
}
