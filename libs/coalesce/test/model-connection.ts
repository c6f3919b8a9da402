import type { Fan, FanPort, SessionPort } from "../src/watch/fan.ts";
import type { Chance } from "./model-etcd.ts";

/** A stream that may refuse to take anything now. */
export interface ModelStreamPort extends SessionPort {
  readonly isReading: boolean;
}

/** A client's connection that takes as much as chance lets it, when chance lets it. */
export class ModelConnection implements FanPort {
  readonly id: number;
  readonly #chance: Chance;
  readonly #waiting: ModelFan[] = [];
  /** To so many streams more a message may go in this turn. */
  room = 0;

  constructor(id: number, chance: Chance) {
    this.id = id;
    this.#chance = chance;
  }

  get isQuiet(): boolean {
    return this.#waiting.length === 0;
  }

  openFan(onTurn: () => void): Fan {
    return new ModelFan(this, this.#chance, onTurn);
  }

  wait(fan: ModelFan): void {
    if (!this.#waiting.includes(fan)) this.#waiting.push(fan);
  }

  /** Gives the first in line a turn. */
  turn(room: number): void {
    this.room = room;
    this.#waiting.shift()?.onTurn();
  }
}

class ModelFan implements Fan {
  readonly onTurn: () => void;
  readonly #connection: ModelConnection;
  readonly #chance: Chance;
  readonly #ports: ModelStreamPort[] = [];

  constructor(connection: ModelConnection, chance: Chance, onTurn: () => void) {
    this.#connection = connection;
    this.#chance = chance;
    this.onTurn = onTurn;
  }

  add(port: SessionPort): void {
    this.#ports.push(port as ModelStreamPort);
  }

  swap(a: number, b: number): void {
    const [first, second] = [this.#ports[a], this.#ports[b]];
    if (first === undefined || second === undefined) throw new Error("no such place");
    this.#ports[a] = second;
    this.#ports[b] = first;
  }

  pop(): void {
    if (this.#ports.pop() === undefined) throw new Error("nobody is there");
  }

  wake(): void {
    this.#connection.wait(this);
  }

  send(head: Uint8Array, body: Uint8Array, from: number, blocked: number[]): number {
    let index = from;
    for (; index < this.#ports.length && this.#connection.room > 0; index++) {
      const port = this.#ports[index] as ModelStreamPort;
      if (!port.isReading || this.#chance.int(6) === 0) {
        blocked.push(index);
      } else {
        port.send(head, body);
        this.#connection.room--;
      }
    }
    return index;
  }
}
