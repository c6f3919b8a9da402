import type { Fan, FanPort, SessionPort } from "@etcd-edge/coalesce";
import type { FanOut } from "@etcd-edge/transport";
import type { ClientState, ClientsCall } from "../relay/client-state.ts";
import { frameOnce } from "./frame-once.ts";
import { WatchCall } from "./watch-call.ts";

let nextId = 0;

/** A client's connection, as watches see it: what many of its streams get is written in one go. */
export class WatchFans implements FanPort {
  readonly id: number = nextId++;
  readonly #connection: ClientsCall["client"];

  constructor(connection: ClientsCall["client"]) {
    this.#connection = connection;
  }

  openFan(onTurn: () => void): Fan {
    return new WatchFan(this.#connection.openFanOut(onTurn));
  }
}

class WatchFan implements Fan {
  readonly #out: FanOut<ClientState>;
  /** One of the calls: they have the credential in common, and the method's counters. */
  #call: WatchCall | undefined;

  constructor(out: FanOut<ClientState>) {
    this.#out = out;
  }

  add(port: SessionPort): void {
    if (!(port instanceof WatchCall)) throw new TypeError("not a watch call");
    this.#call = port;
    this.#out.add(port.call);
  }

  swap(a: number, b: number): void {
    this.#out.swap(a, b);
  }

  pop(): void {
    this.#out.pop();
  }

  wake(): void {
    this.#out.wake();
  }

  send(head: Uint8Array, body: Uint8Array, from: number, blocked: number[]): number {
    const before = blocked.length;
    const reached = this.#out.send(frameOnce(head, body), from, blocked);
    this.#call?.noteSent(head, reached - from - (blocked.length - before));
    return reached;
  }
}
