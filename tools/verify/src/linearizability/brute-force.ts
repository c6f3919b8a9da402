import type { Call } from "./search.ts";

/** A register for tests: `write` returns nothing, `read` what it saw, `swap` what was there before. */
export type RegisterOperation =
  | { readonly t: "write"; readonly value: number }
  | { readonly t: "read"; readonly saw: number }
  | { readonly t: "swap"; readonly value: number; readonly saw: number };

export function stepRegister(state: number, operation: RegisterOperation): number | undefined {
  switch (operation.t) {
    case "write":
      return operation.value;
    case "read":
      return operation.saw === state ? state : undefined;
    case "swap":
      return operation.saw === state ? operation.value : undefined;
    default:
      return operation satisfies never;
  }
}

/** Whether any order of the calls, tried one by one, is one that time and the register allow. */
export function isLinearizableByTrial(calls: readonly Call<RegisterOperation>[], state = 0): boolean {
  if (calls.every((call) => call.isOptional)) return true;
  const earliestReturn = Math.min(...calls.filter((call) => !call.isOptional).map((call) => call.returnedAt));
  return calls.some((call) => {
    if (call.invokedAt > earliestReturn) return false; // somebody had returned before it began
    const after = stepRegister(state, call.operation);
    return (
      after !== undefined &&
      isLinearizableByTrial(
        calls.filter((other) => other !== call),
        after,
      )
    );
  });
}
