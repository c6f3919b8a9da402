import type { Clock } from "../ports.ts";
import { type KeyRange, rangeId } from "../range/key-range.ts";

/** Past that what was decided longest ago is forgotten. */
const maxDecisions = 10_000;

export interface PermissionBookOptions {
  readonly clock: Clock;
  /** For how long "allowed" is remembered, in milliseconds, from when it was asked. */
  readonly rememberMs: number;
  /** Asks etcd with the credential. @throws with its refusal */
  ask(range: KeyRange): Promise<unknown>;
}

/**
 * What one credential may read, as etcd decided a moment ago (rule 18). "Auth is off" is a decision like any other. Only
 * "allowed" is remembered: a refusal, or silence, is asked about again by whoever comes next.
 */
export class PermissionBook {
  readonly #options: PermissionBookOptions;
  /** When it was asked, by range; the oldest first. */
  readonly #allowed = new Map<string, number>();

  constructor(options: PermissionBookOptions) {
    this.#options = options;
  }

  /** Whether it was decided, and not too long ago. */
  isAllowed(range: KeyRange): boolean {
    const askedAt = this.#allowed.get(rangeId(range));
    return askedAt !== undefined && this.#options.clock.nowMs() - askedAt < this.#options.rememberMs;
  }

  /** @throws ProbeError with etcd's refusal, or where there is no answer */
  async decide(range: KeyRange): Promise<void> {
    if (this.isAllowed(range)) return;
    const askedAt = this.#options.clock.nowMs();
    await this.#options.ask(range);
    this.note(range, askedAt);
  }

  /** etcd has allowed it, asked at that time. */
  note(range: KeyRange, askedAt: number): void {
    const id = rangeId(range);
    this.#allowed.delete(id); // to the end of the line
    this.#allowed.set(id, askedAt);
    for (const [oldest, at] of this.#allowed) {
      const isOld = this.#options.clock.nowMs() - at >= this.#options.rememberMs;
      if (!isOld && this.#allowed.size <= maxDecisions) break;
      this.#allowed.delete(oldest);
    }
  }

  /** Users or roles have changed, or may have. */
  forget(range?: KeyRange): void {
    if (range === undefined) this.#allowed.clear();
    else this.#allowed.delete(rangeId(range));
  }
}
