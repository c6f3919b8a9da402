import { describe, expect, it } from "vitest";
import { checkHistory } from "../check-history.ts";
import type { History } from "../history/history.ts";
import {
  getAction,
  operation,
  plain,
  putAction,
  response,
  sampleEvents,
  sampleHistory,
  sampleWatch,
  stored,
  wholeStory,
} from "../history/sample-history.ts";
import type { WatchMessage } from "../history/watch-record.ts";
import type { PromiseName } from "./violation.ts";

const { a1, b1, a2, goneA, a3, b2 } = sampleEvents;
const progress = (revision: bigint, at = 1000): WatchMessage => ({
  t: "progress",
  at,
  revision,
  isForStream: false,
});
const canceled = (compactRevision = 0n, reason = "", at = 1000): WatchMessage => ({
  t: "canceled",
  at,
  revision: 6n,
  compactRevision,
  reason,
});

function watched(...watches: History["watches"]): History {
  return sampleHistory({ watches });
}

function brokenBy(history: History): readonly PromiseName[] {
  return [...new Set(checkHistory(history).violations.map((one) => one.promise))];
}

describe("a good history breaks no promise", () => {
  it.each<[string, History]>([
    ["everything from the beginning", watched(sampleWatch(wholeStory(), {}, { isOpenAtEnd: true }))],
    ["without puts", watched(sampleWatch([response(goneA)], { noPut: true }, { isOpenAtEnd: true }))],
    [
      "one key, later",
      watched(sampleWatch([response(plain(b2))], { span: { key: "b" }, startRevision: 4n, prevKv: false })),
    ],
    ["from now on", watched(sampleWatch(wholeStory(), { startRevision: 0n }))],
    ["a bookmark between", watched(sampleWatch([response(a1), progress(2n), response(b1)]))],
    [
      "fragments, and the rest lost with the stream",
      watched(
        sampleWatch(
          [response(a1), response(b1), response(a2), response(goneA), { ...response(a3), isFragment: true }],
          {
            fragment: true,
          },
        ),
      ),
    ],
    [
      "a true compaction",
      sampleHistory({
        watches: [sampleWatch([canceled(5n, "compacted")])],
        compactions: [{ askedAt: 900, revision: 5n }],
      }),
    ],
    [
      "a successor that goes on right behind",
      watched(
        sampleWatch([response(a1)]),
        sampleWatch([response(b1)], { startRevision: 3n }, { id: 2, resumes: 1 }),
      ),
    ],
    [
      "a cancel that is answered",
      watched(sampleWatch([response(a1), canceled()], {}, { cancelAskedAt: 900 })),
    ],
    [
      "what the reference did not see",
      sampleHistory({
        reference: { from: 0n, changes: [], gaps: [{ after: 0n, upto: 6n }] },
        watches: [sampleWatch([response(b1), response(a2)])],
      }),
    ],
  ])("%s", (_, history) => {
    expect(checkHistory(history).violations).toEqual([]);
  });
});

describe("a broken promise is found", () => {
  it.each<[PromiseName, string, History]>([
    ["ordered", "revisions go down", watched(sampleWatch([response(a1), response(a2), response(b1)]))],
    ["unique", "an event twice", watched(sampleWatch([response(a1), response(b1), response(b1)]))],
    [
      "unique",
      "a successor repeats",
      watched(
        sampleWatch([response(a1), response(b1)]),
        sampleWatch([response(b1)], { startRevision: 3n }, { id: 2, resumes: 1 }),
      ),
    ],
    [
      "atomic",
      "a revision in two responses",
      watched(
        sampleWatch([response(a1), response(b1), response(a2), response(goneA), response(a3), response(b2)]),
      ),
    ],
    [
      "atomic",
      "a fragment that was not allowed",
      watched(sampleWatch([{ ...response(a1), isFragment: true }])),
    ],
    ["reliable", "a hole", watched(sampleWatch([response(a1), response(a2)]))],
    ["reliable", "a hole before a bookmark", watched(sampleWatch([response(a1), progress(3n)]))],
    [
      "reliable",
      "half a revision",
      watched(sampleWatch([response(a1), response(b1), response(a2), response(goneA), response(b2)])),
    ],
    [
      "resumable",
      "a hole where a successor begins",
      watched(
        sampleWatch([response(a1)]),
        sampleWatch([response(a2)], { startRevision: 3n }, { id: 2, resumes: 1 }),
      ),
    ],
    [
      "bookmarkable",
      "an event from before a bookmark",
      watched(sampleWatch([response(a1), progress(3n, 250), response(b1)])),
    ],
    [
      "bookmarkable",
      "a bookmark behind an event",
      watched(sampleWatch([response(a1), response(b1), progress(2n)])),
    ],
    ["filtered", "another key", watched(sampleWatch([response(a1), response(b1)], { span: { key: "a" } }))],
    ["filtered", "a filtered kind", watched(sampleWatch([response(a1)], { noPut: true }))],
    [
      "filtered",
      "below the start",
      watched(sampleWatch([response(b1), response(a2)], { startRevision: 4n })),
    ],
    ["previous value", "left out", watched(sampleWatch([response(a1), response(b1), response(plain(a2))]))],
    [
      "previous value",
      "not asked for",
      watched(sampleWatch([response(a1), response(b1), response(a2)], { prevKv: false })),
    ],
    [
      "previous value",
      "another",
      watched(sampleWatch([response(a1), response(b1), response({ ...a2, prev: stored("a", "9", 2n) })])),
    ],
    [
      "creation",
      "a change told as a creation",
      watched(sampleWatch([response(a1), response(b1), response({ ...a2, kv: stored("a", "2", 4n) })])),
    ],
    ["true", "another value", watched(sampleWatch([response({ ...a1, kv: stored("a", "9", 2n) })]))],
    ["true", "what never happened", watched(sampleWatch([response({ ...a1, kv: stored("a", "1", 3n) })]))],
    ["headers", "a header below its events", watched(sampleWatch([{ ...response(a1), revision: 1n }]))],
    ["headers", "progress that goes back", watched(sampleWatch([progress(1n), progress(1n), progress(0n)]))],
    [
      "cancels",
      "events behind it",
      watched(sampleWatch([canceled(), response(a1)], {}, { cancelAskedAt: 900 })),
    ],
    ["cancels", "not answered", watched(sampleWatch([response(a1)], {}, { cancelAskedAt: 300 }))],
    ["cancels", "for no reason", watched(sampleWatch([response(a1), canceled()]))],
    ["cancels", "compacted that nobody compacted", watched(sampleWatch([canceled(5n, "compacted")]))],
    [
      "cancels",
      "compacted with nothing missed",
      sampleHistory({
        watches: [sampleWatch([...wholeStory(), canceled(5n, "compacted")])],
        compactions: [{ askedAt: 900, revision: 5n }],
      }),
    ],
    [
      "convergence",
      "a watch that stays behind",
      watched(sampleWatch([response(a1)], {}, { isOpenAtEnd: true })),
    ],
    [
      "convergence",
      "a watch that never came to be",
      watched({ ...sampleWatch([], {}, { isOpenAtEnd: true }), messages: [] }),
    ],
    [
      "acknowledged",
      "a write that is not there",
      sampleHistory({ operations: [operation([0, 900], putAction("c", "1"), { t: "put" }, 7n)] }),
    ],
    [
      "acknowledged",
      "a read of what was not",
      sampleHistory({
        operations: [
          operation([450, 900], getAction("a", true), { t: "range", kvs: [stored("a", "1", 2n)] }, 4n),
        ],
      }),
    ],
    [
      "acknowledged",
      "a read at a revision of what was not there then",
      sampleHistory({
        operations: [
          operation([750, 900], getAction("a", true, 4n), { t: "range", kvs: [stored("a", "1", 2n)] }, 6n),
        ],
      }),
    ],
    [
      "revision order",
      "a read at a revision that has not heard of the present",
      sampleHistory({
        operations: [
          operation([300, 410], putAction("a", "2"), { t: "put" }, 4n),
          operation([420, 430], getAction("a", false, 2n), { t: "range", kvs: [stored("a", "1", 2n)] }, 3n),
        ],
      }),
    ],
    [
      "linearizable",
      "a read of what had been overwritten",
      sampleHistory({
        operations: [
          operation([0, 210], putAction("a", "1"), { t: "put" }, 2n),
          operation([300, 410], putAction("a", "2"), { t: "put" }, 4n),
          operation([420, 430], getAction("a"), { t: "range", kvs: [stored("a", "1", 2n)] }, 3n),
        ],
      }),
    ],
    [
      "revision order",
      "a lower revision after a higher one",
      sampleHistory({
        operations: [
          operation([300, 410], putAction("a", "2"), { t: "put" }, 4n),
          operation([420, 430], getAction("b"), { t: "range", kvs: [stored("b", "1", 3n)] }, 3n),
        ],
      }),
    ],
    [
      "serializable order",
      "a client is taken back in time",
      sampleHistory({
        operations: [
          operation([420, 430], getAction("b", true), { t: "range", kvs: [stored("b", "1", 3n)] }, 4n),
          operation([440, 450], getAction("b", true), { t: "range", kvs: [stored("b", "1", 3n)] }, 3n),
        ],
      }),
    ],
    ["lease bounds", "gone too early", leased({ goneAt: 1500 })],
    ["lease bounds", "never gone", leased({})],
    [
      "lease bounds",
      "gone before the end of what a renewal promised",
      leased({ goneAt: 3500, renewedAt: 1900 }),
    ],
  ])("%s: %s", (promise, _, history) => {
    expect(brokenBy(history)).toContain(promise);
    for (const { evidence } of checkHistory(history).violations) expect(evidence.length).toBeGreaterThan(0);
  });

  it("a read of the past is none", () => {
    const kvs = [stored("a", "1", 2n)];
    const operations = [
      operation([300, 410], putAction("a", "2"), { t: "put" }, 4n),
      operation([750, 900], getAction("a", false, 2n), { t: "range", kvs }, 6n),
    ];
    expect(checkHistory(sampleHistory({ operations })).violations).toEqual([]);
  });

  it("a lease that ends in time is none", () => {
    expect(checkHistory(leased({ goneAt: 2100 })).violations).toEqual([]);
    expect(checkHistory(leased({ goneAt: 4100, renewedAt: 1900 })).violations).toEqual([]);
  });
});

/** A lease of 2 s granted at 0, with a key that is seen deleted at `goneAt`. */
function leased({ goneAt, renewedAt }: { goneAt?: number; renewedAt?: number }): History {
  const kv = stored("l", "1", 2n, { lease: 5n });
  const end = { kind: "delete", kv: stored("l", "", 3n, { createRevision: 0n, version: 0n }) } as const;
  const changes = [{ at: 10, revision: 2n, events: [{ kind: "put", kv } as const] }];
  const ended = goneAt === undefined ? [] : [{ at: goneAt, revision: 3n, events: [end] }];
  const renewal =
    renewedAt === undefined ? [] : [{ sentAt: renewedAt, answeredAt: renewedAt + 5, ttlSeconds: 2 }];
  const lease = { id: 5n, client: 1, grantInvokedAt: 0, grantReturnedAt: 5, ttlSeconds: 2, key: "l" };
  return sampleHistory({
    reference: { from: 0n, gaps: [], changes: [...changes, ...ended] },
    leases: [{ ...lease, renewals: renewal }],
  });
}
