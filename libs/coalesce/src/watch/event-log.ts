import type { EventView, HeaderView } from "@etcd-edge/proto";

/** All events of a feed's range in (prev, upto], in order, whole revisions only. Never changed. */
export interface Segment {
  readonly prev: bigint;
  readonly upto: bigint;
  readonly events: readonly EventView[];
  /** Of the response that brought them: who said it. */
  readonly header: HeaderView;
  readonly bytes: number;
}

/** Segments are cut at these, between revisions: batches that go to clients have this size (rule 19). */
const maxSegmentRevisions = 1000;
const maxSegmentBytes = 1 << 20;

/** What an event costs in memory beside its bytes: the objects around them. */
const eventOverheadBytes = 200;

/**
 * The events of a range in (base, head], newest kept. Segments without events are not stored: that nothing happened
 * shows in `head` alone.
 */
export class EventLog {
  #base: bigint;
  #head: bigint;
  #segments: Segment[] = [];
  #bytes = 0;

  /** @param base nothing at or below it is held; `head` starts there too */
  constructor(base: bigint) {
    this.#base = base;
    this.#head = base;
  }

  /** Positions below this have lost events. */
  get base(): bigint {
    return this.#base;
  }

  /** The coverage: every event up to here was here at least once. */
  get head(): bigint {
    return this.#head;
  }

  /** The highest revision up to `head` of which an event is held, or `base`: nothing has happened since. */
  get lastEvent(): bigint {
    return this.#segments.at(-1)?.upto ?? this.#base;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds what happened in (head, upto].
   * @returns the new segments
   */
  append(events: readonly EventView[], upto: bigint, header: HeaderView): readonly Segment[] {
    const added: Segment[] = [];
    let start = 0;
    while (start < events.length) {
      const end = cut(events, start);
      const isLast = end === events.length;
      const part = start === 0 && isLast ? events : events.slice(start, end);
      const segmentUpto = isLast ? upto : (part.at(-1)?.modRevision ?? upto);
      added.push({ prev: this.#head, upto: segmentUpto, events: part, header, bytes: sizeOf(part) });
      this.#head = segmentUpto;
      start = end;
    }
    this.#head = upto;
    for (const segment of added) {
      this.#segments.push(segment);
      this.#bytes += segment.bytes;
    }
    return added;
  }

  /** The first segment with something above `position`, or nothing if there is no such event up to `head`. */
  after(position: bigint): Segment | undefined {
    return this.#segments[this.#indexAfter(position)];
  }

  /** The segments from there on that together are no larger than `maxBytes`, and one may be; the first whatever its size. */
  stretch(position: bigint, maxBytes: number = maxSegmentBytes): readonly Segment[] {
    const start = this.#indexAfter(position);
    let end = start;
    let bytes = 0;
    let events = 0; // never fewer than revisions
    for (; end < this.#segments.length; end++) {
      bytes += this.#segments[end]?.bytes ?? 0;
      events += this.#segments[end]?.events.length ?? 0;
      if (end > start && (bytes > maxBytes || events > maxSegmentRevisions)) break;
    }
    return this.#segments.slice(start, end);
  }

  #indexAfter(position: bigint): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle]?.upto ?? 0n) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Drops whole segments, oldest first, until at most `maxBytes` are left. */
  trim(maxBytes: number): void {
    let count = 0;
    while (this.#bytes > maxBytes) {
      const oldest = this.#segments[count];
      if (oldest === undefined) break;
      this.#bytes -= oldest.bytes;
      this.#base = oldest.upto;
      count++;
    }
    if (count > 0) this.#segments.splice(0, count);
  }
}

/** Where a segment that begins at `start` ends: between two revisions, however large one of them is. */
function cut(events: readonly EventView[], start: number): number {
  let revisions = 0;
  let bytes = 0;
  for (let i = start; i < events.length; i++) {
    const event = events[i] as EventView;
    const isNewRevision = i === start || event.modRevision !== events[i - 1]?.modRevision;
    if (isNewRevision) {
      if (revisions === maxSegmentRevisions || (i > start && bytes >= maxSegmentBytes)) return i;
      revisions++;
    }
    bytes += event.plain.length + (event.prevKv?.length ?? 0);
  }
  return events.length;
}

function sizeOf(events: readonly EventView[]): number {
  let bytes = 0;
  for (const event of events) bytes += event.plain.length + (event.prevKv?.length ?? 0) + eventOverheadBytes;
  return bytes;
}
