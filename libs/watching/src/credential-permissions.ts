import {
  type KeyRange,
  type PermissionSource,
  toKeyRange,
  toRangeFields,
  type WatchHub,
} from "@etcd-edge/coalesce";
import { readJwt, type ServiceIdentity, type TokenNames } from "@etcd-edge/identity";
import { create, fromBinary, RangeRequestSchema, toBinary } from "@etcd-edge/proto";
import type { FindMessageTransform } from "./message-transform.ts";

/** How etcd is asked what one credential may read. */
export interface CredentialPermissionsOptions {
  readonly credential: string | undefined;
  /** The hub of the credential: its questions are shared. */
  readonly hub: Pick<WatchHub, "probe">;
  readonly names: TokenNames;
  readonly service: Pick<ServiceIdentity, "mayRead"> | undefined;
  /** Whether etcd wants no users now: an older one refuses tokens of before all the same. Never rejects. */
  readonly isAuthOff: () => Promise<boolean>;
  readonly findTransform: FindMessageTransform;
}

/** Asks with the credential; and where that is used up, what its user may read, where both can be found out. */
export function createPermissionSource(options: CredentialPermissionsOptions): PermissionSource {
  const { credential, hub, names, service, isAuthOff, findTransform } = options;
  return {
    ask: (range) => hub.probe(range),
    askByName: async (range) => {
      const user = credential === undefined ? undefined : names.nameOf(credential);
      const answer =
        user === undefined ? undefined : await service?.mayRead(user, toEtcdRange(range, findTransform));
      // Switched off, it takes nothing away from anybody.
      return answer === true || (await isAuthOff()) ? true : answer;
    },
    expiresByItself: credential !== undefined && readJwt(credential) !== undefined,
  };
}

/** The same range with the names that etcd knows its keys by: permissions are of those. */
function toEtcdRange(range: KeyRange, findTransform: FindMessageTransform): KeyRange {
  const transform = findTransform("/etcdserverpb.KV/Range");
  if (transform === undefined) return range;
  const asked = toBinary(RangeRequestSchema, create(RangeRequestSchema, toRangeFields(range)));
  return toKeyRange(fromBinary(RangeRequestSchema, transform.request(asked))) ?? range;
}
