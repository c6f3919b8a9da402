import {
  type ConfiguredSource,
  createPreferredSource,
  createStaticSource,
  type Endpoint,
  endpointUrl,
} from "@etcd-edge/endpoints";
import type { Clock, Logger } from "@etcd-edge/runtime";
import type { OpenedBus } from "../config/open-bus.ts";
import { createAnnouncedSource } from "./announced-source.ts";

/** Discovery answers a newcomer at once, if there is one: longer than this it is not waited for. */
const firstWordMs = 1_000;

/**
 * The endpoints that discovery announces over the fabric, and `fallback` until it has announced any. Waits a second for
 * the first announcement: a tier that starts beside discovery need not refuse its first clients.
 */
export async function followDiscovery(options: {
  readonly opened: OpenedBus;
  /** `--fabric-prefix`. */
  readonly prefix: string;
  /** What `topicOf` makes of the cluster and the tier. */
  readonly topic: string;
  readonly fallback: readonly Endpoint[];
  readonly logger: Logger;
  readonly clock: Clock;
}): Promise<ConfiguredSource> {
  const { opened, prefix, topic, fallback, logger, clock } = options;
  const { bus } = opened;
  if (!opened.isProtected) {
    logger.warn(
      "whoever reaches NATS can name endpoints: give it credentials (in the URL, --nats-creds-file or --nats-cert) or use --fabric-key-file",
    );
  }
  const heard = Promise.withResolvers<void>();
  const announced = createAnnouncedSource({
    ...{ bus, prefix, topic, clock },
    onChange: (endpoints) => {
      logger.info("endpoints from discovery changed", { endpoints: endpoints.map(endpointUrl) });
      heard.resolve();
    },
  });
  const timer = clock.setTimer(firstWordMs, () => heard.resolve());
  await heard.promise;
  timer.stop();
  const preferred = createPreferredSource(announced, createStaticSource(fallback));
  return {
    ...preferred,
    refresh: () => undefined, // discovery tells by itself
    async [Symbol.asyncDispose]() {
      await preferred[Symbol.asyncDispose]();
      await announced[Symbol.asyncDispose]();
    },
  };
}
