import { EndpointSetHolder, type EndpointSource } from "../endpoint-set.ts";

/** What `preferred` says, and what `fallback` says while that is nobody. Disposes of neither. */
export function createPreferredSource(preferred: EndpointSource, fallback: EndpointSource): EndpointSource {
  const holder = new EndpointSetHolder();
  const follow = (): void => {
    const { endpoints } = preferred.current();
    holder.update(endpoints.length > 0 ? endpoints : fallback.current().endpoints);
  };
  follow();
  const unsubscribes = [preferred.subscribe(follow), fallback.subscribe(follow)];
  return {
    current: () => holder.current(),
    subscribe: (listener) => holder.subscribe(listener),
    [Symbol.asyncDispose]() {
      for (const unsubscribe of unsubscribes) unsubscribe();
      return Promise.resolve();
    },
  };
}
