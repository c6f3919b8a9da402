import type { Feed, FeedSharing, Watcher } from "@etcd-edge/coalesce";
import type { HttpHandler } from "@etcd-edge/runtime";
import { describeRange } from "./describe-range.ts";
import type { WatchService } from "./watch-service.ts";

/** So many watches are told of one by one; the feeds always. */
const defaultLimit = 1_000;

/**
 * `/explain/watch?limit=1000` as JSON: every watch at etcd with how far it is, and of each client's watch on which of
 * them it hangs, how far it is, and why it shares with nobody if it does not. Credentials are not shown.
 */
export function createExplainWatch(watches: WatchService): HttpHandler {
  return (request, response) => {
    const asked = new URL(request.url ?? "/", "http://localhost").searchParams.get("limit");
    const limit = asked === null ? defaultLimit : Number(asked);
    if (!Number.isSafeInteger(limit) || limit < 0) {
      response
        .writeHead(400, { "content-type": "text/plain; charset=utf-8" })
        .end("limit must be a whole number\n");
      return;
    }
    const body = JSON.stringify(explain(watches, limit), undefined, 2);
    response.writeHead(200, { "content-type": "application/json" }).end(`${body}\n`);
  };
}

function explain(watches: WatchService, limit: number): unknown {
  let left = limit;
  return [...watches.scopes()].map(({ hub, sessions }, scope) => {
    const list: unknown[] = [];
    for (const session of sessions.keys()) {
      for (const watcher of session.watchers) if (left-- > 0) list.push(explainWatch(watcher));
    }
    return {
      scope,
      storeRevision: String(hub.history.known),
      streams: sessions.size,
      feeds: [...hub.feeds()].map((feed) => explainFeed(feed, hub.sharing)),
      watches: list,
    };
  });
}

function explainFeed(feed: Feed, sharing: FeedSharing | undefined): unknown {
  return {
    range: describeRange(feed.range),
    state: feed.state,
    isCatchUp: feed.isCatchUp,
    member: feed.member,
    coverage: String(feed.log.head),
    logFrom: String(feed.log.base),
    logBytes: feed.log.bytes,
    prevKvFrom: feed.prevKvBase === undefined ? undefined : String(feed.prevKvBase),
    watchers: feed.size,
    ...(sharing === undefined ? {} : { fabric: sharing.describe(feed) }),
  };
}

function explainWatch(watcher: Watcher): unknown {
  const { id, range, reached, group } = watcher;
  return {
    id: String(id),
    range: describeRange(range),
    deliveredTo: String(reached),
    feed: group === undefined ? undefined : describeRange(group.feed.range),
    coverage: group === undefined ? undefined : String(group.feed.log.head),
    state: group === undefined ? "waiting" : watcher.isLive ? "live" : "behind",
    sharedWith: group === undefined ? 0 : group.feed.size - 1,
    why: whyAlone(watcher),
  };
}

function whyAlone({ group, wantsPrevKv, stream }: Watcher): string | undefined {
  if (group === undefined)
    return stream.canTake ? "it waits for a feed to catch up with" : "its client does not read";
  const { feed } = group;
  if (feed.size > 1) return undefined;
  if (!feed.isCatchUp) return "nobody else watches this range, or a wider one";
  return wantsPrevKv && feed.prevKvBase !== undefined
    ? "it is behind the shared feed, or that has no previous values yet"
    : "it is behind the shared feed";
}
