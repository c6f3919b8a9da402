import type { Endpoint } from "./endpoint.ts";

/** Uniform in [0, 1), as `Math.random`. */
export type RandomSource = () => number;

/** How willing we are to use an endpoint: `good` before `doubtful`, `bad` never. */
export type Standing = "good" | "doubtful" | "bad";

/**
 * Picks upstreams by RFC 2782: the lowest priority number that has a usable endpoint, and within that class shares in
 * proportion to weight. Weights that are all equal (all zero included) mean round robin, which has the same shares with
 * less spread. Beside weighted ones, those of weight 0 get one pick in (sum of weights + 1) together, the "very small
 * chance" of the RFC. Standing comes before priority: a doubtful endpoint is used only when no good one of any class is left.
 */
export class Picker {
  readonly #random: RandomSource;
  #turn = 0;

  constructor(random: RandomSource = Math.random) {
    this.#random = random;
  }

  /** Undefined if every candidate is bad. `standingOf` is asked once per candidate. */
  pick<T extends Pick<Endpoint, "priority" | "weight">>(
    candidates: readonly T[],
    standingOf: (candidate: T) => Standing,
  ): T | undefined {
    const good: T[] = [];
    const doubtful: T[] = [];
    for (const candidate of candidates) {
      const standing = standingOf(candidate);
      if (standing === "good") good.push(candidate);
      else if (standing === "doubtful") doubtful.push(candidate);
    }
    return this.#pickByWeight(lowestPriorityClass(good.length > 0 ? good : doubtful));
  }

  #pickByWeight<T extends { readonly weight: number }>(group: readonly T[]): T | undefined {
    const weights = group.map((candidate) => candidate.weight);
    if (weights.every((weight) => weight === weights[0])) return this.#next(group);

    const unweighted = group.filter((candidate) => candidate.weight === 0);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    // RFC 2782 draws from 0..total inclusive, 0 falling to the records of weight 0; without such records the draw
    // starts at 1, or the first record would get one share more than its weight.
    const lowest = unweighted.length > 0 ? 0 : 1;
    let rest = lowest + Math.floor(this.#random() * (total + 1 - lowest));
    if (rest === 0) return this.#next(unweighted);
    for (const candidate of group) {
      rest -= candidate.weight;
      if (rest <= 0 && candidate.weight > 0) return candidate;
    }
    return group.at(-1);
  }

  #next<T>(group: readonly T[]): T | undefined {
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER;
    return group[this.#turn % group.length];
  }
}

function lowestPriorityClass<T extends { readonly priority: number }>(
  candidates: readonly T[],
): readonly T[] {
  const lowest = Math.min(...candidates.map((candidate) => candidate.priority));
  return candidates.filter((candidate) => candidate.priority === lowest);
}
