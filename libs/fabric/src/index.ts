export { createInProcessBus } from "./bus/in-process-bus.ts";
export { type BusCounters, type BusState, type MessageBus, subjectToken } from "./bus/message-bus.ts";
export { createNatsBus, type NatsBusOptions } from "./bus/nats-bus.ts";
export { sealBus } from "./bus/seal-bus.ts";
export type { AnnouncedEndpoint, Announcement } from "./endpoints/announcement.ts";
export {
  type AnnouncementListener,
  type AnnouncementOptions,
  type Announcer,
  createAnnouncer,
  followAnnouncements,
} from "./endpoints/endpoint-announcements.ts";
export { createRedisClient, type RedisClient, type RedisClientOptions } from "./store/redis-client.ts";
export {
  createRedisStore,
  type RedisState,
  type RedisStore,
  type RedisStoreOptions,
} from "./store/redis-store.ts";
export { parseRedisUrl, type RedisAddress } from "./store/redis-url.ts";
export { type SealedStore, sealStore } from "./store/seal-store.ts";
