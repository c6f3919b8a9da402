import { type Endpoint, EndpointSetHolder, type EndpointSource, parseEndpoint } from "@etcd-edge/endpoints";
import type { Clock } from "@etcd-edge/runtime";
import type { MessageBus } from "../bus/message-bus.ts";
import type { AnnouncedEndpoint } from "./announcement.ts";
import { followAnnouncements } from "./endpoint-announcements.ts";

export type AnnouncedSourceOptions = {
  /** Not disposed of. */
  readonly bus: MessageBus;
  /** `--fabric-prefix`. */
  readonly prefix: string;
  /** What `topicOf` makes of a cluster and a tier. */
  readonly topic: string;
  /** Told of every other set than before. */
  readonly onChange?: (endpoints: readonly Endpoint[]) => void;
  readonly clock?: Clock;
};

/** Under which name the endpoints of a cluster's members, or of one of our tiers in front of it, are announced. */
export function topicOf(cluster: string, tier: string): string {
  return tier === "members" ? cluster : `${cluster}/${tier}`;
}

/**
 * The endpoint set that replicas of discovery announce over the fabric. When nobody is heard any more the last set stands:
 * whoever uses it looks at the endpoints himself, and an old set is better than none.
 */
export function createAnnouncedSource(options: AnnouncedSourceOptions): EndpointSource {
  const { bus, prefix, topic, onChange, clock } = options;
  const holder = new EndpointSetHolder();
  const listener = followAnnouncements({
    bus,
    prefix,
    cluster: topic,
    ...(clock === undefined ? {} : { clock }),
    onChange: (announced) => {
      if (announced.length === 0) return;
      const endpoints = announced.flatMap(toEndpoint);
      holder.update(endpoints);
      onChange?.(endpoints);
    },
  });
  return {
    current: () => holder.current(),
    subscribe: (follow) => holder.subscribe(follow),
    [Symbol.asyncDispose]() {
      listener[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

function toEndpoint({ url, priority, weight, name }: AnnouncedEndpoint): Endpoint[] {
  const endpoint = parseEndpoint(url);
  if (typeof endpoint === "string") return []; // of another release: nobody here could dial it
  return [{ ...endpoint, priority, weight, ...(name === undefined ? {} : { name }) }];
}
