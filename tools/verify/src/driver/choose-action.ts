import type { Random } from "@etcd-edge/testkit";
import type { Action, Compare, SimpleAction } from "../history/operation.ts";
import type { Stored } from "../history/stored.ts";
import type { KeySpace } from "./key-space.ts";

/** What a client has last seen of a key: compares are made from it, so that they hold about as often as not. */
export type Seen = ReadonlyMap<string, Stored | undefined>;

/**
 * Draws the next thing a client does.
 * @param newValue a value that nobody else ever writes
 * @param past a revision that others read at, too; 0 where there is none yet
 */
export function chooseAction(
  random: Random,
  space: KeySpace,
  seen: Seen,
  newValue: () => string,
  past: () => bigint,
): Action {
  const index = random.below(space.groups.length);
  const keys = space.groups[index] ?? [];
  const put = (): SimpleAction => ({ t: "put", key: random.pick(keys), value: newValue(), lease: 0n });
  const get = (serializable: boolean): SimpleAction => ({
    t: "range",
    span: random.chance(70) ? { key: random.pick(keys) } : space.groupSpan(index),
    serializable,
  });
  const remove = (): SimpleAction => ({
    t: "delete",
    span: random.chance(90) ? { key: random.pick(keys) } : space.groupSpan(index),
  });
  const draw = random.below(100);
  if (draw < 38) return put();
  if (draw < 46) return remove();
  if (draw < 66) return get(false);
  if (draw < 76) return get(true);
  if (draw < 82) {
    const at = past();
    const span = space.groupSpan(index);
    return at > 0n ? { t: "range", span, serializable: random.chance(50), at } : get(true);
  }
  return chooseTxn(random, keys, seen, get, newValue);
}

function chooseTxn(
  random: Random,
  keys: readonly string[],
  seen: Seen,
  get: (serializable: boolean) => SimpleAction,
  newValue: () => string,
): Action {
  const compares = random.chance(75) ? [chooseCompare(random, random.pick(keys), seen)] : [];
  if (random.chance(20))
    return { t: "txn", compares, success: [get(false), get(false)], failure: [get(false)] };
  // A transaction may write a key once only.
  const writes = keys
    .filter(() => random.chance(45))
    .map(
      (key): SimpleAction =>
        random.chance(80) ? { t: "put", key, value: newValue(), lease: 0n } : { t: "delete", span: { key } },
    );
  return { t: "txn", compares, success: [...writes, get(false)], failure: [get(false)] };
}

function chooseCompare(random: Random, key: string, seen: Seen): Compare {
  const known = seen.get(key);
  switch (random.below(4)) {
    case 0:
      return { key, target: "value", equals: known?.value ?? "nothing" };
    case 1:
      return { key, target: "mod", equals: known?.modRevision ?? 0n };
    case 2:
      return { key, target: "create", equals: known?.createRevision ?? 0n };
    default:
      return { key, target: "version", equals: known?.version ?? 0n };
  }
}
