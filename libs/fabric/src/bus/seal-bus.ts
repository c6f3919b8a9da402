import { createHmac, timingSafeEqual } from "node:crypto";
import type { MessageBus } from "./message-bus.ts";

const macBytes = 32; // HMAC-SHA256

/**
 * A bus whose messages carry a message authentication code over subject and content, so that only holders of `key` can
 * speak. What does not verify is dropped and counted as rejected. A recorded message can still be repeated by others:
 * whoever uses the bus must bear repeats. Disposing disposes the inner bus.
 */
export function sealBus(inner: MessageBus, key: Uint8Array): MessageBus {
  let rejected = 0;
  const mac = (subject: string, data: Uint8Array): Buffer =>
    createHmac("sha256", key).update(subject).update("\0").update(data).digest();
  return {
    get counters() {
      return { ...inner.counters, rejected: inner.counters.rejected + rejected };
    },
    publish: (subject, data) => inner.publish(subject, Buffer.concat([mac(subject, data), data])),
    subscribe: (subject, onMessage) =>
      inner.subscribe(subject, (sealed) => {
        const data = sealed.subarray(macBytes);
        if (sealed.length >= macBytes && timingSafeEqual(mac(subject, data), sealed.subarray(0, macBytes))) {
          onMessage(data);
        } else {
          rejected += 1;
        }
      }),
    get maxPayloadBytes() {
      return inner.maxPayloadBytes - macBytes;
    },
    flush: () => inner.flush(),
    state: () => inner.state(),
    onState: (listener) => inner.onState(listener),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
