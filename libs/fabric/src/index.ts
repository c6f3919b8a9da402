export { createInProcessBus } from "./bus/in-process-bus.ts";
export { type BusCounters, type BusState, type MessageBus, subjectToken } from "./bus/message-bus.ts";
export { createNatsBus, type NatsBusOptions } from "./bus/nats-bus.ts";
export { sealBus } from "./bus/seal-bus.ts";
export { readFabricKey } from "./config/fabric-key.ts";
export { type FabricConfig, fabricOptions } from "./config/fabric-options.ts";
export { type OpenedBus, openBus, openNamedBus } from "./config/open-bus.ts";
export {
  type AnnouncedSourceOptions,
  createAnnouncedSource,
  topicOf,
} from "./endpoints/announced-source.ts";
export type { AnnouncedEndpoint, Announcement } from "./endpoints/announcement.ts";
export { discoveryOptions } from "./endpoints/discovery-options.ts";
export {
  type AnnouncementListener,
  type AnnouncementOptions,
  type Announcer,
  createAnnouncer,
  followAnnouncements,
} from "./endpoints/endpoint-announcements.ts";
export { isDiscovered, openUpstreamSource, type UpstreamConfig } from "./endpoints/upstream-source.ts";
export { toFeedBus } from "./feeds/feed-bus.ts";
export {
  type FeedSharingOfReplica,
  type FeedSharingOptions,
  startFeedSharing,
} from "./feeds/start-feed-sharing.ts";
export { joinRollCall, type RollCallOptions } from "./presence/join-roll-call.ts";
export type { Presence } from "./presence/presence.ts";
export { createBusMessenger, followPresences } from "./presence/presence-bus.ts";
export {
  maxPresenceBytes,
  presencePath,
  readPosted,
  sealHeader,
} from "./presence/presence-http.ts";
export { presenceOptions } from "./presence/presence-options.ts";
export { type Messenger, type PresenceReport, reportPresence } from "./presence/report-presence.ts";
export { RollCall } from "./presence/roll-call.ts";
export { createRedisClient, type RedisClient, type RedisClientOptions } from "./store/redis-client.ts";
export {
  createRedisStore,
  type RedisState,
  type RedisStore,
  type RedisStoreOptions,
} from "./store/redis-store.ts";
export { parseRedisUrl, type RedisAddress } from "./store/redis-url.ts";
export { type SealedStore, sealStore } from "./store/seal-store.ts";
