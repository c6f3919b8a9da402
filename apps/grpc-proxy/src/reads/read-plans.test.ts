import { create, RangeRequestSchema, toBinary } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { ReadPlans } from "./read-plans.ts";

const request = (key: string): Buffer =>
  Buffer.from(toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: Buffer.from(key) })));

describe("plans of reads", () => {
  it("are made once for equal requests, and within one budget for all scopes", () => {
    const budget = { max: 100, used: 0 };
    let made = 0;
    const toRequest = (payload: Buffer): Uint8Array => {
      made++;
      return payload;
    };
    const [one, two] = [new ReadPlans(toRequest, budget), new ReadPlans(toRequest, budget)];
    const first = one.of(request("k"));
    expect(one.of(request("k"))).toBe(first);
    expect(two.of(request("k"))).not.toBe(first);
    expect(made).toBe(2);
    for (let i = 0; i < 1_000; i++) {
      one.of(request(`k${i}`));
      // What is used stays.
      expect(two.of(request("k"))).toBeDefined();
    }
    expect(budget.used).toBeLessThanOrEqual(101);
    one.clear();
    two.clear();
    expect(budget.used).toBe(0);
  });

  it("of long requests are not kept, nor are requests that go elsewhere", () => {
    const budget = { max: 100, used: 0 };
    const plans = new ReadPlans((payload) => (payload.length > 1_000 ? payload : undefined), budget);
    expect(plans.of(request("k".repeat(2_000)))).toBeDefined();
    expect(plans.of(request("short"))).toBeUndefined();
    expect(budget.used).toBe(0);
  });
});
