export { createExplainWatch } from "./explain-watch.ts";
export { logHubEvent } from "./hub-log.ts";
export { type FindMessageTransform, findNoTransform, type MessageTransform } from "./message-transform.ts";
export { scopeMetadata } from "./scope-metadata.ts";
export { identityOfCredential, type WatchIdentity } from "./watch-identity.ts";
export { exposeWatches } from "./watch-metrics.ts";
export { toWatchOptions, watchOptions } from "./watch-options.ts";
export { type WatchClient, WatchService, type WatchServiceOptions } from "./watch-service.ts";
