import type { BusCounters, MessageBus } from "./message-bus.ts";

/** The bus of a replica that is alone, and of tests: messages arrive in a later turn, as over a network. */
export function createInProcessBus(): MessageBus {
  const subscribers = new Map<string, Set<(data: Uint8Array) => void>>();
  const counters = { published: 0, received: 0, dropped: 0, rejected: 0 };
  let isClosed = false;
  return {
    counters: counters satisfies BusCounters,
    publish(subject, data) {
      if (isClosed) {
        counters.dropped += 1;
        return;
      }
      counters.published += 1;
      const copy = data.slice();
      queueMicrotask(() => {
        for (const onMessage of [...(subscribers.get(subject) ?? [])]) {
          counters.received += 1;
          onMessage(copy);
        }
      });
    },
    subscribe(subject, onMessage) {
      const all = subscribers.get(subject) ?? new Set();
      subscribers.set(subject, all);
      all.add(onMessage);
      return () => {
        all.delete(onMessage);
        if (all.size === 0 && subscribers.get(subject) === all) subscribers.delete(subject);
      };
    },
    maxPayloadBytes: 1 << 20,
    flush: () => (isClosed ? Promise.reject(new Error("the bus is closed")) : Promise.resolve()),
    state: () => (isClosed ? { t: "closed" } : { t: "local" }),
    onState: () => () => undefined,
    [Symbol.asyncDispose]() {
      isClosed = true;
      subscribers.clear();
      return Promise.resolve();
    },
  };
}
