import type { FabricBus } from "@etcd-edge/coalesce";
import type { MessageBus } from "../bus/message-bus.ts";

/** Of all subjects that feeds use, so that a later format that is understood by nobody else can have its own. */
const area = "feeds.v1";

/**
 * The channels of feeds as subjects of a bus: `<prefix>.feeds.v1.<channel>`. A bus within the process counts as connected:
 * replicas in one process reach each other.
 */
export function toFeedBus(bus: MessageBus, prefix: string): FabricBus {
  const subject = (channel: string): string => `${prefix}.${area}.${channel}`;
  const isConnected = (): boolean => ["connected", "local"].includes(bus.state().t);
  return {
    get isConnected() {
      return isConnected();
    },
    get maxPayloadBytes() {
      return bus.maxPayloadBytes;
    },
    publish: (channel, data) => bus.publish(subject(channel), data),
    subscribe: (channel, onMessage) => bus.subscribe(subject(channel), onMessage),
    flush: () => bus.flush(),
    onConnection: (listener) => {
      let was = isConnected();
      return bus.onState(() => {
        const is = isConnected();
        if (is === was) return;
        was = is;
        listener();
      });
    },
  };
}
