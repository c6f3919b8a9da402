import type { History } from "../history/history.ts";
import type { Action } from "../history/operation.ts";
import type { Timeline } from "../history/timeline.ts";
import { findComponents, keysOf } from "../linearizability/components.ts";
import { createKvModel } from "../linearizability/kv-model.ts";
import { minimise, writtenAt } from "../linearizability/minimise.ts";
import { findLinearization } from "../linearizability/search.ts";
import { type KvCall, toCalls } from "../linearizability/to-calls.ts";
import { describeKvOperation, describeOperation, describeStored } from "./describe.ts";
import type { Violation } from "./violation.ts";

export interface LinearizabilityResult {
  readonly violations: readonly Violation[];
  /** Sets of keys whose search gave up: about these nothing is said. */
  readonly gaveUp: readonly string[];
  readonly calls: number;
  readonly components: number;
}

/** Reads, writes and transactions took effect one after the other, each between its call and its answer. */
export function checkLinearizable(
  history: History,
  timeline: Timeline,
  maxSteps?: number,
): LinearizabilityResult {
  const calls = toCalls(history, timeline);
  const keys = [...new Set(calls.flatMap((call) => keysOf(actionOf(call), [])))].sort();
  const sets = findComponents(keys, calls.map(actionOf));
  const parts = new Map<string, KvCall[]>();
  for (const call of calls) {
    const [key] = keysOf(actionOf(call), keys);
    const name = key === undefined ? undefined : sets.get(key);
    if (name === undefined) continue; // a range in which no key ever was; `acknowledged` judges it
    const part = parts.get(name) ?? [];
    part.push(call);
    parts.set(name, part);
  }
  const violations: Violation[] = [];
  const gaveUp: string[] = [];
  for (const [name, part] of parts) {
    const revisions = part.flatMap(({ operation }) => writtenAt(operation) ?? []);
    const model = createKvModel({ revision: 0n, keys: new Map() }, revisions);
    const verdict = findLinearization(model, part, maxSteps);
    const members = keys.filter((key) => sets.get(key) === name);
    if (verdict.t === "impossible") violations.push(explain(part, members, timeline));
    else if (verdict.t === "gave up") gaveUp.push(members.join(", "));
  }
  return { violations, gaveUp, calls: calls.length, components: parts.size };
}

function explain(part: readonly KvCall[], keys: readonly string[], timeline: Timeline): Violation {
  const smallest = minimise(part, (revision) => {
    const there = keys.flatMap((key) => timeline.valueAt(key, revision) ?? []);
    return new Map(there.map((kv) => [kv.key, kv]));
  });
  const { initial } = smallest;
  const sorted = smallest.calls.toSorted((a, b) => a.returnedAt - b.returnedAt);
  const start = [...initial.keys.values()].map(describeStored).join(", ") || "no keys";
  return {
    promise: "linearizable",
    text: `no order of ${sorted.length} operations on ${keys.join(", ")} explains their answers`,
    evidence: [
      `at revision ${initial.revision}: ${start}`,
      ...sorted.map(({ source, operation }) =>
        source === undefined ? describeKvOperation(operation) : describeOperation(source),
      ),
    ],
    operations: sorted.flatMap(({ source }) => source?.id ?? []),
    at: Math.max(...sorted.map((call) => call.returnedAt).filter(Number.isFinite)),
  };
}

/** For an effect the transaction that would have had it: it connects its keys. */
function actionOf({ operation }: KvCall): Action {
  if (operation.t !== "effect") return operation.action;
  const success = operation.events.map(
    ({ kv }) => ({ t: "put", key: kv.key, value: "", lease: 0n }) as const,
  );
  return { t: "txn", compares: [], success, failure: [] };
}
