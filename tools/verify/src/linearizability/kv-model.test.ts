import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Action, Answer, SimpleAction, SimpleAnswer } from "../history/operation.ts";
import type { Stored } from "../history/stored.ts";
import { createKvModel, type KvOperation } from "./kv-model.ts";
import { minimise, writtenAt } from "./minimise.ts";
import { type Call, findLinearization } from "./search.ts";

/** A store of its own, written as etcd's documentation has it and not as the model does: the other opinion. */
class Store {
  readonly keys = new Map<string, Stored>();
  revision = 1n;

  do(action: Action): { readonly answer: Answer; readonly revision: bigint } {
    const steps = action.t === "txn" ? this.#branch(action) : [action];
    const next = this.revision + 1n;
    let hasChanged = false;
    const answers = steps.map((step): SimpleAnswer => {
      if (step.t === "put") {
        hasChanged = true;
        const old = this.keys.get(step.key);
        this.keys.set(step.key, {
          key: step.key,
          value: step.value,
          lease: 0n,
          createRevision: old === undefined ? next : old.createRevision,
          modRevision: next,
          version: old === undefined ? 1n : old.version + 1n,
        });
        return { t: "put" };
      }
      if (step.t === "delete") {
        const deleted = this.keys.delete(step.span.key) ? 1 : 0;
        if (deleted > 0) hasChanged = true;
        return { t: "delete", deleted };
      }
      const found = this.keys.get(step.span.key);
      return { t: "range", kvs: found === undefined ? [] : [found] };
    });
    if (hasChanged) this.revision = next;
    const [only] = answers;
    if (action.t !== "txn" && only !== undefined) return { answer: only, revision: this.revision };
    const succeeded = action.t === "txn" && steps === action.success;
    return { answer: { t: "txn", succeeded, answers }, revision: this.revision };
  }

  #branch(action: Action & { t: "txn" }): readonly SimpleAction[] {
    const isMet = action.compares.every(
      (one) => one.target === "value" && this.keys.get(one.key)?.value === one.equals,
    );
    return isMet ? action.success : action.failure;
  }
}

const someKey = fc.constantFrom("a", "b");
const somePut = fc
  .tuple(someKey, fc.integer({ min: 0, max: 3 }))
  .map(([key, value]): SimpleAction => ({ t: "put", key, value: String(value), lease: 0n }));
const someDelete = someKey.map((key): SimpleAction => ({ t: "delete", span: { key } }));
const someGet = someKey.map((key): SimpleAction => ({ t: "range", span: { key }, serializable: false }));
const someTxn = fc.tuple(someKey, fc.integer({ min: 0, max: 3 }), somePut, someGet).map(
  ([key, value, put, get]): Action => ({
    t: "txn",
    compares: [{ key, target: "value", equals: String(value) }],
    success: [put, get],
    failure: [get],
  }),
);
const someAction: fc.Arbitrary<Action> = fc.oneof(somePut, somePut, someDelete, someGet, someTxn);

interface Step {
  readonly action: Action;
  readonly early: number;
  readonly late: number;
}
const someSteps = fc.array(
  fc.record({ action: someAction, early: fc.nat({ max: 25 }), late: fc.nat({ max: 25 }) }),
  { minLength: 2, maxLength: 12 },
);

/** Calls as a real store answers them, step i at time 10·i, each stretched in time around that. */
function run(steps: readonly Step[]): Call<KvOperation>[] {
  const store = new Store();
  return steps.map(({ action, early, late }, i) => {
    const { answer, revision } = store.do(action);
    return {
      operation: { t: "answered", action, answer, revision },
      invokedAt: 10 * i - early,
      returnedAt: 10 * i + 1 + late,
      isOptional: false,
    };
  });
}

function verdictOf(calls: readonly Call<KvOperation>[]): string {
  const revisions = calls.flatMap(({ operation }) => writtenAt(operation) ?? []);
  return findLinearization(createKvModel({ revision: 0n, keys: new Map() }, revisions), calls).t;
}

describe("the model of etcd's key space", () => {
  it("explains what a store answers, however the calls overlap", () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        expect(verdictOf(run(steps))).toBe("linearizable");
      }),
      { numRuns: 1000 },
    );
  });

  it("explains it, too, when the answers of some writes are lost", () => {
    fc.assert(
      fc.property(someSteps, fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }), (steps, lost) => {
        const calls = run(steps).map((call, i): Call<KvOperation> => {
          const { operation } = call;
          if (lost[i] !== true || operation.t !== "answered") return call;
          if (operation.action.t === "range") return call;
          const unknown = { t: "unknown", action: operation.action } as const;
          return { ...call, operation: unknown, isOptional: true, returnedAt: Number.POSITIVE_INFINITY };
        });
        expect(verdictOf(calls)).toBe("linearizable");
      }),
      { numRuns: 1000 },
    );
  });

  it("does not explain a read of what was overwritten before it began", () => {
    fc.assert(
      fc.property(someSteps, someKey, (steps, key) => {
        const writes: readonly Action[] = [
          { t: "put", key, value: "old", lease: 0n },
          { t: "put", key, value: "new", lease: 0n },
        ];
        const calm = writes.map((action) => ({ action, early: 0, late: 0 }));
        const calls = run([...steps.map((step) => ({ ...step, late: 0 })), ...calm]);
        const [first] = calls.slice(-2);
        const written = first?.operation.t === "answered" ? first.operation.revision : 0n;
        const end = 10 * calls.length;
        const store = new Store();
        for (const { action } of [...steps, ...calm.slice(0, 1)]) store.do(action);
        const stale = store.keys.get(key);
        const read: Call<KvOperation> = {
          operation: {
            t: "answered",
            action: { t: "range", span: { key }, serializable: false },
            answer: { t: "range", kvs: stale === undefined ? [] : [stale] },
            revision: written,
          },
          invokedAt: end,
          returnedAt: end + 1,
          isOptional: false,
        };
        const all = [...calls, read];
        expect(verdictOf(all)).toBe("impossible");
        // What is left of it is still impossible, and small.
        const smallest = minimise(
          all.map((call) => ({ ...call, source: undefined })),
          (revision) => stateAt(steps, calm, revision),
        );
        expect(smallest.calls.length).toBeLessThanOrEqual(3);
      }),
      { numRuns: 200 },
    );
  });
});

/** The keys at a revision, by doing it all again up to there. */
function stateAt(
  steps: readonly Step[],
  more: readonly { readonly action: Action }[],
  revision: bigint,
): ReadonlyMap<string, Stored> {
  const store = new Store();
  let keys: ReadonlyMap<string, Stored> = new Map();
  for (const { action } of [...steps, ...more]) {
    store.do(action);
    if (store.revision <= revision) keys = new Map(store.keys);
  }
  return keys;
}
