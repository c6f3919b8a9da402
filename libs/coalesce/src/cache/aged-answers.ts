import type { Clock } from "../ports.ts";
import { type Answered, ownedAnswer } from "./answer-parts.ts";
import { BoundedMap } from "./bounded-map.ts";
import type { CacheLimits } from "./cache-limits.ts";
import type { CacheScope } from "./cached-read.ts";
import type { RangePlan } from "./range-plan.ts";

/** What `--cache-max-age` lets stand for ranges that nobody watches: the last answer, for so long and no longer. */
export class AgedAnswers {
  readonly #ageMs: number;
  readonly #answers: BoundedMap<Answered>;

  constructor(clock: Clock, { maxAgeMs, recheckMs, answerBytes }: CacheLimits) {
    // No longer than a permission counts, either.
    this.#ageMs = Math.min(maxAgeMs, recheckMs);
    this.#answers = new BoundedMap(clock, this.#ageMs > 0 ? answerBytes / 4 : 0);
  }

  get size(): number {
    return this.#answers.size;
  }

  get bytes(): number {
    return this.#answers.bytes;
  }

  get(plan: RangePlan, scope: CacheScope): Answered | undefined {
    return this.#ageMs === 0 ? undefined : this.#answers.get(keyOf(plan, scope));
  }

  keep(plan: RangePlan, scope: CacheScope, answer: Answered): void {
    if (this.#ageMs === 0) return;
    this.#answers.set(keyOf(plan, scope), ownedAnswer(answer), answer.body.length, this.#ageMs);
  }

  clear(): void {
    this.#answers.clear();
  }
}

function keyOf({ timeless }: RangePlan, { id }: CacheScope): string {
  return `${id}/${timeless}`;
}
