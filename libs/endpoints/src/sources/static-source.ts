import type { Endpoint } from "../endpoint.ts";
import { EndpointSetHolder, type EndpointSource } from "../endpoint-set.ts";

/** A list that never changes. */
export function createStaticSource(endpoints: readonly Endpoint[]): EndpointSource {
  const holder = new EndpointSetHolder();
  holder.update(endpoints);
  return {
    current: () => holder.current(),
    subscribe: (listener) => holder.subscribe(listener),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
