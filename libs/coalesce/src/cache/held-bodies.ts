import type { Clock } from "../ports.ts";
import { rangeId } from "../range/key-range.ts";
import { BoundedMap } from "./bounded-map.ts";
import type { CacheLimits } from "./cache-limits.ts";
import type { HeldRange } from "./held-range.ts";
import type { RangePlan } from "./range-plan.ts";

/** Answers up to this are kept with the plan of their request. */
const maxPlanBytes = 4 * 1024;

interface LargeBody {
  readonly of: HeldRange;
  readonly version: number;
  readonly body: Uint8Array;
}

/** Answers from ranges that are held, each made once for as long as nothing changes in its range. */
export class HeldBodies {
  readonly #limits: CacheLimits;
  /** Those too large for their plan. */
  readonly #large: BoundedMap<LargeBody>;

  constructor(clock: Clock, limits: CacheLimits) {
    this.#limits = limits;
    this.#large = new BoundedMap(clock, limits.heldBytes / 4);
  }

  /** What follows the header in the answer to a plan whose range lies in this one. */
  of(held: HeldRange, plan: RangePlan): Uint8Array {
    const { range, query } = plan;
    const { version } = held;
    held.touch();
    if (plan.bodyOf === held && plan.bodyVersion === version) return plan.body;
    if (range === undefined) throw new TypeError("a plan without keys is not held");
    const large = plan.isLarge ? this.#large.get(largeKey(held, plan)) : undefined;
    if (large?.of === held && large.version === version) return large.body;
    const body = held.body(query, range);
    plan.isLarge = body.length > maxPlanBytes;
    if (plan.isLarge) {
      this.#large.set(largeKey(held, plan), { of: held, version, body }, body.length, this.#limits.idleMs);
      plan.bodyOf = undefined;
    } else {
      plan.body = body;
      plan.bodyOf = held;
      plan.bodyVersion = version;
    }
    return body;
  }
}

function largeKey({ range }: HeldRange, { timeless }: RangePlan): string {
  return `${rangeId(range)}/${timeless}`;
}
