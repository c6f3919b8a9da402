import { create, type HeaderView, toBinary, WatchResponseSchema } from "@etcd-edge/proto";

/** Responses of a watch stream that carry no events. */
const noId = -1n;

/** The answer to a create that is granted. */
export function createdMessage(header: HeaderView, watchId: bigint): Uint8Array {
  return toBinary(WatchResponseSchema, create(WatchResponseSchema, { header, watchId, created: true }));
}

/** The answer to a create that is not granted: created and canceled in one, with an id that no watch has. */
export function refusedMessage(header: HeaderView, cancelReason: string): Uint8Array {
  const response = { header, watchId: noId, created: true, canceled: true, cancelReason };
  return toBinary(WatchResponseSchema, create(WatchResponseSchema, response));
}

/** The end of a watch that the client cancelled, or that etcd did, with its reason. */
export function canceledMessage(header: HeaderView, watchId: bigint, cancelReason = ""): Uint8Array {
  const response = { header, watchId, canceled: true, cancelReason };
  return toBinary(WatchResponseSchema, create(WatchResponseSchema, response));
}

/** The end of a watch whose next revision is compacted. etcd's header has the revision 0 here. */
export function compactedMessage(header: HeaderView, watchId: bigint, compactRevision: bigint): Uint8Array {
  const response = { header: { ...header, revision: 0n }, watchId, canceled: true, compactRevision };
  return toBinary(WatchResponseSchema, create(WatchResponseSchema, response));
}

/** Everything up to the header's revision has been delivered: to one watch, or without an id to all of a stream. */
export function progressMessage(header: HeaderView, watchId: bigint = noId): Uint8Array {
  return toBinary(WatchResponseSchema, create(WatchResponseSchema, { header, watchId }));
}
