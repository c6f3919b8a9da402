import type { Clock } from "../ports.ts";
import { toLatin1 } from "../range/bytes.ts";
import { type KeyRange, lowerBound, rangeId, upperBound } from "../range/key-range.ts";

/** How often something is read: a sum that halves every few seconds. */
export interface Heat {
  readonly range: KeyRange;
  score: number;
  at: number;
  /** Of a group: some of the keys that were read, up to `manyKeys`. */
  readonly names: Set<string> | undefined;
  /** Too large, too busy, refused: not tried again before this. */
  bannedUntil: number;
}

const halfLifeMs = 5_000;
/** About seven reads a second for a while, or a burst of fifty. */
const hotScore = 50;
/** So many keys of a group must be read before the group is looked at as a whole. */
export const manyKeys = 8;
const maxHeats = 2_048;
const maxGroups = 512;
/** Keys that are longer are not counted. */
const maxKeyBytes = 1_024;

/** What is read so often that it is worth a feed (rule 33). */
export class HotRanges {
  readonly #clock: Clock;
  readonly #heats = new Map<string, Heat>();
  readonly #groups = new Map<string, Heat>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The heat of a range; the same object for equal ranges. Nothing for keys too long to be kept. */
  of(range: KeyRange): Heat | undefined {
    if (lowerBound(range).length > maxKeyBytes || (upperBound(range)?.length ?? 0) > maxKeyBytes)
      return undefined;
    return this.#heatOf(this.#heats, maxHeats, rangeId(range), range, undefined);
  }

  /** The heat of all keys that begin like this one, if its beginning says anything. */
  ofGroup(key: Uint8Array): Heat | undefined {
    const range = groupOf(key);
    if (range === undefined) return undefined;
    return this.#heatOf(this.#groups, maxGroups, toLatin1(range.key), range, new Set());
  }

  /** @returns whether it is hot, and not banned */
  note(heat: Heat, weight: number, name?: string): boolean {
    const now = this.#clock.nowMs();
    if (now !== heat.at) {
      heat.score *= 2 ** ((heat.at - now) / halfLifeMs);
      heat.at = now;
    }
    heat.score += weight;
    const { names } = heat;
    if (names !== undefined && name !== undefined && names.size < manyKeys) names.add(name);
    if (heat.score < hotScore || now < heat.bannedUntil) return false;
    return names === undefined || names.size >= manyKeys;
  }

  #heatOf(
    heats: Map<string, Heat>,
    max: number,
    id: string,
    range: KeyRange,
    names: Set<string> | undefined,
  ): Heat {
    const known = heats.get(id);
    if (known !== undefined) return known;
    const heat: Heat = { range, score: 0, at: this.#clock.nowMs(), names, bannedUntil: 0 };
    heats.set(id, heat);
    if (heats.size > max) {
      const [oldest] = heats.keys();
      if (oldest !== undefined) heats.delete(oldest);
    }
    return heat;
  }
}

/** All keys that begin like this one, if its beginning says anything: `a/b/1` is of `a/b/`, `node17` of `node`. */
export function groupOf(key: Uint8Array): (KeyRange & { readonly t: "span" }) | undefined {
  const length = groupLength(key);
  if (length === 0 || length > maxKeyBytes) return undefined;
  const start = new Uint8Array(key.subarray(0, length));
  const end = new Uint8Array(start);
  end[length - 1] = (start[length - 1] ?? 0) + 1;
  return { t: "span", key: start, end };
}

const slash = 0x2f;

/** How much of a key its group has in common: up to the last slash inside it, or up to its first digit. 0 is nothing. */
function groupLength(key: Uint8Array): number {
  let length = key.lastIndexOf(slash, key.length - 2) + 1;
  if (length === 0) {
    length = Math.max(
      0,
      key.findIndex((byte) => byte >= 0x30 && byte <= 0x39),
    );
  }
  // The end of the range is the next byte string of that length.
  while (length > 0 && key[length - 1] === 0xff) length--;
  return length;
}
