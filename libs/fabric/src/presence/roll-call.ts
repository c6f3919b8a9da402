import { type Clock, systemClock, type Timer } from "@etcd-edge/runtime";
import type { Presence } from "./presence.ts";

/** More replicas than this are not remembered: whoever can speak could make up names without end. */
const maxReplicas = 1_000;

/** Who is there: the last word of each replica, for as long as it may be believed. Disposing forgets all. */
export class RollCall implements Disposable {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #heard = new Map<string, { readonly presence: Presence; readonly expiry: Timer }>();

  constructor(onChange: () => void, clock: Clock = systemClock) {
    this.#onChange = onChange;
    this.#clock = clock;
  }

  /** In the order of tiers and names. */
  current(): readonly Presence[] {
    const order = ({ tier, name, id }: Presence): string => `${tier}\0${name}\0${id}`;
    return [...this.#heard.values()]
      .map(({ presence }) => presence)
      .sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  /** A replica has said something. With a TTL of 0 it leaves. */
  heard(presence: Presence): void {
    const { id, ttlMs } = presence;
    const known = this.#heard.get(id);
    if (known === undefined && (ttlMs === 0 || this.#heard.size >= maxReplicas)) return;
    known?.expiry.stop();
    if (ttlMs === 0) this.#heard.delete(id);
    else this.#heard.set(id, { presence, expiry: this.#clock.setTimer(ttlMs, () => this.#forget(id)) });
    this.#onChange();
  }

  [Symbol.dispose](): void {
    for (const { expiry } of this.#heard.values()) expiry.stop();
    this.#heard.clear();
  }

  #forget(id: string): void {
    this.#heard.delete(id);
    this.#onChange();
  }
}
