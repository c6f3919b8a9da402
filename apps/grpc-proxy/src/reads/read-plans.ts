import { createRangePlan, type RangePlan } from "@etcd-edge/coalesce";

const maxPlans = 16_384;
const maxKeyBytes = 4 * 1024;

/** What becomes of a request: nothing where it is etcd's alone to answer. */
type Outcome = RangePlan | undefined;

/**
 * Plans by the bytes of their request, of one scope. Those that were not used while as many others were are forgotten: two maps,
 * of which the older one is dropped when the younger one is full, so that a look-up changes nothing.
 */
export class ReadPlans {
  readonly #toRequest: (payload: Buffer) => Uint8Array | undefined;
  #young = new Map<string, Outcome>();
  #old = new Map<string, Outcome>();

  /** @param toRequest makes of a client's request the one for etcd; nothing where it is not to be answered here */
  constructor(toRequest: (payload: Buffer) => Uint8Array | undefined) {
    this.#toRequest = toRequest;
  }

  of(payload: Buffer): Outcome {
    if (payload.length > maxKeyBytes) return this.#make(payload);
    const key = payload.toString("latin1");
    const known = this.#young.get(key);
    if (known !== undefined) return known;
    const older = this.#old.get(key);
    const plan = older ?? this.#make(payload);
    if (plan === undefined) return undefined;
    if (this.#young.size >= maxPlans) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, plan);
    return plan;
  }

  #make(payload: Buffer): Outcome {
    const request = this.#toRequest(payload);
    return request === undefined ? undefined : createRangePlan(payload, request);
  }
}
