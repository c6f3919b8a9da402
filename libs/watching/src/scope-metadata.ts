import { tokenToShow } from "@etcd-edge/identity";
import { NO_METADATA, type RawMetadata } from "@etcd-edge/transport";

/** Metadata of calls that many clients with one credential share. @param hasLeader to be told where there is no leader */
export function scopeMetadata(credential: string | undefined, hasLeader: boolean): RawMetadata {
  const shown = tokenToShow(credential);
  const token = shown === undefined ? [] : ["token", shown];
  const metadata = hasLeader ? [...token, "hasleader", "true"] : token;
  return metadata.length === 0 ? NO_METADATA : metadata;
}
