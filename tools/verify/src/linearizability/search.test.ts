import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLinearizableByTrial, type RegisterOperation, stepRegister } from "./brute-force.ts";
import { type Call, findLinearization, type Model } from "./search.ts";

const register: Model<number, RegisterOperation> = { initial: 0, step: stepRegister, stateKey: String };

const value = fc.integer({ min: 0, max: 2 });
const someOperation: fc.Arbitrary<RegisterOperation> = fc.oneof(
  value.map((one) => ({ t: "write", value: one }) as const),
  value.map((one) => ({ t: "read", saw: one }) as const),
  fc.tuple(value, value).map(([one, saw]) => ({ t: "swap", value: one, saw }) as const),
);
const someCall: fc.Arbitrary<Call<RegisterOperation>> = fc
  .record({
    operation: someOperation,
    invokedAt: fc.integer({ min: 0, max: 12 }),
    length: fc.integer({ min: 1, max: 8 }),
    isOptional: fc.boolean().map((one) => one),
    rarely: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ operation, invokedAt, length, isOptional, rarely }) => {
    const mayNotBe = isOptional && rarely === 0 && operation.t === "write";
    const returnedAt = mayNotBe ? Number.POSITIVE_INFINITY : invokedAt + length;
    return { operation, invokedAt, returnedAt, isOptional: mayNotBe };
  });

describe("the search for an order", () => {
  it("agrees with trying every order", () => {
    const verdicts = { linearizable: 0, impossible: 0 };
    fc.assert(
      fc.property(fc.array(someCall, { maxLength: 7 }), (calls) => {
        const verdict = findLinearization(register, calls);
        const expected = isLinearizableByTrial(calls) ? "linearizable" : "impossible";
        expect(verdict.t).toBe(expected);
        verdicts[expected]++;
        if (verdict.t !== "linearizable") return;
        // The order it found is one: the register allows it, and time does.
        let state: number | undefined = 0;
        for (const [i, call] of verdict.order.entries()) {
          state = stepRegister(state ?? 0, call.operation);
          expect(state).toBeDefined();
          for (const later of verdict.order.slice(i + 1))
            expect(later.returnedAt).toBeGreaterThanOrEqual(call.invokedAt);
        }
        const left = calls.filter((call) => !verdict.order.includes(call));
        expect(left.every((call) => call.isOptional)).toBe(true);
      }),
      { numRuns: 3000 },
    );
    // Both answers must have been put to the test.
    expect(Math.min(verdicts.linearizable, verdicts.impossible)).toBeGreaterThan(300);
  });

  it("says so when it gives up", () => {
    const at = (operation: RegisterOperation, invokedAt: number, returnedAt: number) => ({
      operation,
      invokedAt,
      returnedAt,
      isOptional: false,
    });
    const writes = Array.from({ length: 12 }, (_, i) => at({ t: "write", value: i }, 0, 100));
    const calls = [...writes, at({ t: "read", saw: 99 }, 0, 100)];
    expect(findLinearization(register, calls, 1000)).toEqual({ t: "gave up", steps: 1000 });
  });

  it("names the call that no order has room for", () => {
    const calls: readonly Call<RegisterOperation>[] = [
      { operation: { t: "write", value: 1 }, invokedAt: 0, returnedAt: 1, isOptional: false },
      { operation: { t: "write", value: 2 }, invokedAt: 2, returnedAt: 3, isOptional: false },
      { operation: { t: "read", saw: 1 }, invokedAt: 4, returnedAt: 5, isOptional: false },
    ];
    const verdict = findLinearization(register, calls);
    expect(verdict).toMatchObject({ t: "impossible", stuckOn: calls[2], longest: calls.slice(0, 2) });
  });
});
