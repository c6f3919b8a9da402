import { type Action, stepsOf } from "../history/operation.ts";
import { holds } from "../history/stored.ts";

/**
 * Splits keys into sets that no action connects: two keys are together where one action names both. Linearizability is
 * a matter of each set alone (it is a local property: Herlihy and Wing, 1990); what orders the sets among each other are
 * revisions, and those are checked for all operations together.
 *
 * @returns for every key the name of its set
 */
export function findComponents(
  keys: readonly string[],
  actions: readonly Action[],
): ReadonlyMap<string, string> {
  const parent = new Map(keys.map((key) => [key, key]));
  const find = (key: string): string => {
    let root = key;
    for (let up = parent.get(root); up !== undefined && up !== root; up = parent.get(root)) root = up;
    parent.set(key, root);
    return root;
  };
  for (const action of actions) {
    const [first, ...others] = keysOf(action, keys);
    if (first === undefined) continue;
    for (const other of others) parent.set(find(other), find(first));
  }
  return new Map(keys.map((key) => [key, find(key)]));
}

/** Those of the keys that an action reads or writes. */
export function keysOf(action: Action, keys: readonly string[]): readonly string[] {
  const named = new Set<string>(action.t === "txn" ? action.compares.map((one) => one.key) : []);
  for (const step of stepsOf(action)) {
    if (step.t === "put") {
      named.add(step.key);
    } else if (step.span.end === undefined) {
      named.add(step.span.key);
    } else {
      for (const key of keys) if (holds(step.span, key)) named.add(key);
    }
  }
  return [...named];
}
