import { type EventView, eventBytes, type HeaderView } from "@etcd-edge/proto";
import { encodeBatch, Variant } from "./batch.ts";

/** Cuts events so that each part but the last is at least `maxBytes` minus one event large, as etcd cuts them. */
function cutFragments(events: readonly EventView[], variant: number, maxBytes: number): EventView[][] {
  const parts: EventView[][] = [];
  let part: EventView[] = [];
  let bytes = 0;
  for (const event of events) {
    const size = eventBytes(event, (variant & Variant.prevKv) !== 0);
    if (part.length > 0 && bytes + size >= maxBytes) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(event);
    bytes += size;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** The bodies of a response that is sent in parts. */
export function* encodeFragments(
  events: readonly EventView[],
  header: HeaderView,
  variant: number,
  maxBytes: number,
): IterableIterator<{ readonly body: Uint8Array; readonly isFragment: boolean }> {
  const parts = cutFragments(events, variant, maxBytes);
  for (const [i, part] of parts.entries()) {
    const encoded = encodeBatch(part, header, variant);
    if (encoded !== undefined) yield { body: encoded.body, isFragment: i < parts.length - 1 };
  }
}
