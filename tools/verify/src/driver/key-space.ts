import type { Random } from "@etcd-edge/testkit";
import type { KeySpan } from "../history/stored.ts";

/** Keys of one run: groups of a few keys each. Actions stay in a group, so that each group can be judged by itself. */
export class KeySpace {
  readonly prefix: string;
  readonly groups: readonly (readonly string[])[];

  /** @param prefix ends in `/` */
  constructor(prefix: string, groups: number, keysPerGroup: number) {
    this.prefix = prefix;
    this.groups = Array.from({ length: groups }, (_, group) =>
      Array.from({ length: keysPerGroup }, (_unused, key) => `${prefix}g${group}/k${key}`),
    );
  }

  /** Every key of the run, those of leases too. */
  get whole(): KeySpan {
    return spanOfPrefix(this.prefix);
  }

  get keys(): readonly string[] {
    return this.groups.flat();
  }

  groupSpan(index: number): KeySpan {
    return spanOfPrefix(`${this.prefix}g${index}/`);
  }

  /** A key, or all that begin alike. */
  plainSpan(random: Random): KeySpan {
    const index = random.below(this.groups.length);
    return random.pick([{ key: random.pick(this.groups[index] ?? []) }, this.groupSpan(index), this.whole]);
  }

  /** What somebody may want to watch: a key, a few neighbours, a group, some groups, or everything. */
  someSpan(random: Random): KeySpan {
    const index = random.below(this.groups.length);
    const group = this.groups[index] ?? [];
    switch (random.below(5)) {
      case 0:
        return { key: random.pick(group) };
      case 1: {
        const [first = "", last = ""] = [random.pick(group), random.pick(group)].sort();
        return { key: first, end: `${last}\0` };
      }
      case 2:
        return this.groupSpan(index);
      case 3:
        return { key: `${this.prefix}g${index}/`, end: this.whole.end ?? "" };
      default:
        return this.whole;
    }
  }
}

function spanOfPrefix(prefix: string): KeySpan {
  const last = prefix.charCodeAt(prefix.length - 1);
  return { key: prefix, end: `${prefix.slice(0, -1)}${String.fromCharCode(last + 1)}` };
}
