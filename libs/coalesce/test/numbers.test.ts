import { expect, it } from "vitest";
import { defaultCacheLimits } from "../src/cache/cache-limits.ts";
import { silenceMs } from "../src/fabric/interest-table.ts";
import { defaultLeaseLimits } from "../src/lease/lease-limits.ts";
import { defaultReadLimits } from "../src/read/read-limits.ts";
import { checkMs, lagMs } from "../src/watch/liveness.ts";

it("rule 44: what other rules call short, bounded or a while has these values", () => {
  expect({
    feedsAreComparedWithTheQuorumEveryMs: checkMs,
    andMayBeBehindItForMs: lagMs,
    anIngesterMayBeSilentForMs: silenceMs,
    permissionsAreAskedAboutAfterMs: defaultCacheLimits.recheckMs,
    aReadWaitsForAHeldRangeForMs: defaultCacheLimits.coverMs,
    oneTxnHasAtMostReads: defaultReadLimits.maxOps, // and fewer where a cluster says so (rule 27)
    renewalsOfALeaseAreSharedForMs: defaultLeaseLimits.maxShareMs,
  }).toEqual({
    feedsAreComparedWithTheQuorumEveryMs: 1_000,
    andMayBeBehindItForMs: 2_000,
    anIngesterMayBeSilentForMs: 2_000,
    permissionsAreAskedAboutAfterMs: 5_000,
    aReadWaitsForAHeldRangeForMs: 1_000,
    oneTxnHasAtMostReads: 128,
    renewalsOfALeaseAreSharedForMs: 1_000,
  });
});
