import { type Clock, systemClock, type Timer } from "@etcd-edge/runtime";
import type { Presence } from "./presence.ts";

/** A way on which presences are told. */
export interface Messenger {
  /** Sends one; a promise settles when it has arrived or will not. */
  send(presence: Presence): unknown;
  /** Calls whenever somebody wants to know. Returns the way to stop that. */
  onWanted(tell: () => void): () => void;
}

export interface PresenceOptions {
  readonly messengers: readonly Messenger[];
  /** What is told now; without a TTL, which is three intervals. */
  readonly describe: () => Omit<Presence, "ttlMs">;
  /** Default 5,000. */
  readonly intervalMs?: number;
  readonly clock?: Clock;
}

/** Believed without a newer one for so many intervals. */
const lifetimes = 3;

/** Tells others of this process. Disposing tells them that it leaves, and waits until they know or a moment is over. */
export interface PresenceReport extends AsyncDisposable {
  /** Tells it now: something has changed, as when a drain begins. */
  tell(): void;
}

export function reportPresence(options: PresenceOptions): PresenceReport {
  const { messengers, describe, intervalMs = 5_000, clock = systemClock } = options;
  let timer: Timer | undefined;
  let isOver = false;
  const send = (ttlMs: number): unknown[] =>
    messengers.map((messenger) => messenger.send({ ...describe(), ttlMs }));
  const tell = (): void => {
    timer?.stop();
    if (isOver) return;
    timer = clock.setTimer(intervalMs, tell);
    send(intervalMs * lifetimes);
  };
  const stops = messengers.map((messenger) => messenger.onWanted(tell));
  tell();
  return {
    tell,
    [Symbol.asyncDispose]: async () => {
      if (isOver) return;
      isOver = true;
      timer?.stop();
      for (const stop of stops) stop();
      await Promise.allSettled(send(0));
    },
  };
}
