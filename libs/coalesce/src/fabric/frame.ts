import {
  create,
  type EventView,
  encodeEvents,
  encodeHeader,
  type Frame as FrameMessage,
  FrameSchema,
  type HeaderView,
  readWatchResponse,
} from "@etcd-edge/proto";
import { hasKey, type KeyRange, toKeyRange, toRangeFields } from "../range/key-range.ts";

/** All events of a range in (prev, upto]: a pure function of etcd's history, whoever says it and how often (rule 17). */
export interface Frame {
  readonly range: KeyRange;
  readonly prev: bigint;
  readonly upto: bigint;
  readonly events: readonly EventView[];
  /** Of the etcd that said it. */
  readonly header: HeaderView;
  /** Previous values are there for every event above this; nothing where they are for none. */
  readonly prevKvBase: bigint | undefined;
  /** There are events, too large to be sent. */
  readonly isWithheld: boolean;
}

/** What an event costs in a frame beside its bytes. */
const eventOverheadBytes = 8;

/**
 * Cuts a frame into frames of at most about `maxBytes`, between revisions. A revision that is larger than that by itself
 * is announced and not sent.
 */
export function splitFrame(frame: Frame, maxBytes: number): readonly Frame[] {
  if (sizeOfEvents(frame.events) <= maxBytes) return [frame];
  const parts: Frame[] = [];
  let { prev } = frame;
  const add = (events: readonly EventView[], isWithheld: boolean): void => {
    const upto = events.at(-1)?.modRevision ?? prev;
    parts.push({ ...frame, prev, upto, events: isWithheld ? [] : events, isWithheld });
    prev = upto;
  };
  let part: EventView[] = [];
  let bytes = 0;
  for (const revision of revisionsOf(frame.events)) {
    const size = sizeOfEvents(revision);
    if (part.length > 0 && bytes + size > maxBytes) {
      add(part, false);
      part = [];
      bytes = 0;
    }
    if (size > maxBytes) {
      add(revision, true);
      continue;
    }
    part.push(...revision);
    bytes += size;
  }
  if (part.length > 0) add(part, false);
  const last = parts.at(-1);
  if (last !== undefined) parts[parts.length - 1] = { ...last, upto: frame.upto };
  return parts;
}

export function toFrameMessage(frame: Frame): FrameMessage {
  const { range, prev, upto, events, header, prevKvBase, isWithheld } = frame;
  const head = encodeHeader(header);
  const body = encodeEvents(events, prevKvBase !== undefined);
  const response = new Uint8Array(head.length + body.length);
  response.set(head);
  response.set(body, head.length);
  const flag = prevKvBase === undefined ? {} : { prevKvFrom: prevKvBase };
  return create(FrameSchema, { range: toRangeFields(range), prev, upto, isWithheld, response, ...flag });
}

/** Reads what came from outside. @returns nothing where it is not a frame that an honest replica could have sent */
export function fromFrameMessage(message: FrameMessage): Frame | undefined {
  const { prev, upto, isWithheld, response } = message;
  const range = message.range && toKeyRange(message.range);
  if (range === undefined || prev < 0n || prev >= upto) return undefined;
  const { header, events } = readWatchResponse(response);
  let last = prev;
  for (const { key, modRevision } of events) {
    if (modRevision <= prev || modRevision < last || modRevision > upto || !hasKey(range, key))
      return undefined;
    last = modRevision;
  }
  return { range, prev, upto, events, header, prevKvBase: message.prevKvFrom, isWithheld };
}

/** The same, also of bytes that are no message at all. Never throws. */
export function readFrame(message: FrameMessage): Frame | undefined {
  try {
    return fromFrameMessage(message);
  } catch {
    return undefined;
  }
}

function* revisionsOf(events: readonly EventView[]): Iterable<readonly EventView[]> {
  let start = 0;
  for (let i = 1; i <= events.length; i++) {
    if (i < events.length && events[i]?.modRevision === events[start]?.modRevision) continue;
    yield events.slice(start, i);
    start = i;
  }
}

/** About what events take in a message. */
export function sizeOfEvents(events: readonly EventView[]): number {
  let bytes = 0;
  for (const { plain, prevKv } of events) bytes += plain.length + (prevKv?.length ?? 0) + eventOverheadBytes;
  return bytes;
}
