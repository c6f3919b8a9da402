import type { BacklogWanted, Frame as FrameMessage } from "@etcd-edge/proto";
import { contains, hasKey, type KeyRange } from "../range/key-range.ts";
import type { Feed } from "../watch/feed.ts";
import { type Frame, sizeOfEvents, splitFrame, toFrameMessage } from "./frame.ts";

/**
 * What a feed has behind a revision, of the range that is asked for; about `maxBytes` of it, or one revision.
 * @returns nothing where the log does not go back so far
 */
export function answerBacklog(
  feed: Feed,
  { after, wantsPrevKv }: Pick<BacklogWanted, "after" | "wantsPrevKv">,
  range: KeyRange,
  maxBytes: number,
): { readonly frames: readonly FrameMessage[]; readonly hasMore: boolean } | undefined {
  const { log, prevKvBase } = feed;
  if (after < log.base || !contains(feed.range, range)) return undefined;
  if (wantsPrevKv && (prevKvBase === undefined || prevKvBase > after)) return undefined;
  const frames: FrameMessage[] = [];
  let bytes = 0;
  let prev = after;
  const add = (frame: Frame): void => {
    const message = toFrameMessage(frame);
    frames.push(message);
    bytes += message.response.length;
    prev = frame.upto;
  };
  const flag = wantsPrevKv ? prevKvBase : undefined;
  const nobody = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };
  while (prev < log.head && bytes < maxBytes) {
    const segment = log.after(prev);
    if (segment === undefined) {
      add({ range, prev, upto: log.head, events: [], header: nobody, prevKvBase: flag, isWithheld: false });
      continue;
    }
    const { upto, header } = segment;
    const events = segment.events.filter(({ key, modRevision }) => modRevision > prev && hasKey(range, key));
    const whole: Frame = { range, prev, upto, events, header, prevKvBase: flag, isWithheld: false };
    for (const frame of splitFrame(whole, maxBytes)) {
      if (bytes > 0 && bytes + sizeOfEvents(frame.events) > maxBytes) return { frames, hasMore: true };
      add(frame);
    }
  }
  return { frames, hasMore: prev < log.head };
}
