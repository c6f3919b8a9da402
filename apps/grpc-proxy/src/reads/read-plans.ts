import { createRangePlan, type RangePlan } from "@etcd-edge/coalesce";

/** Requests that are longer are looked at anew each time. */
const maxKeyBytes = 512;

/** How many plans are kept, over all scopes: about 1 KB each, 3 KB at most. */
export interface PlanBudget {
  readonly max: number;
  used: number;
}

/** What becomes of a request: nothing where it is etcd's alone to answer. */
type Outcome = RangePlan | undefined;

/**
 * Plans by the bytes of their request, of one scope. Those that were not used while others were are forgotten: two maps, of which
 * the older one is dropped when the budget is used up, so that a look-up changes nothing.
 */
export class ReadPlans {
  readonly #toRequest: (payload: Buffer) => Uint8Array | undefined;
  readonly #budget: PlanBudget;
  #young = new Map<string, Outcome>();
  #old = new Map<string, Outcome>();

  /** @param toRequest makes of a client's request the one for etcd; nothing where it is not to be answered here */
  constructor(toRequest: (payload: Buffer) => Uint8Array | undefined, budget: PlanBudget) {
    this.#toRequest = toRequest;
    this.#budget = budget;
  }

  of(payload: Buffer): Outcome {
    if (payload.length > maxKeyBytes) return this.#make(payload);
    const key = payload.toString("latin1");
    const known = this.#young.get(key);
    if (known !== undefined) return known;
    const older = this.#old.get(key);
    const plan = older ?? this.#make(payload);
    if (plan === undefined) return undefined;
    if (this.#budget.used >= this.#budget.max) {
      this.#budget.used -= this.#old.size;
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, plan);
    this.#budget.used++;
    return plan;
  }

  /** Gives its part of the budget back. */
  clear(): void {
    this.#budget.used -= this.#young.size + this.#old.size;
    this.#young = new Map();
    this.#old = new Map();
  }

  #make(payload: Buffer): Outcome {
    const request = this.#toRequest(payload);
    return request === undefined ? undefined : createRangePlan(payload, request);
  }
}
