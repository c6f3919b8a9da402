import type { HeaderView } from "@etcd-edge/proto";
import { type KeyRange, rangeId } from "../range/key-range.ts";

/** etcd's answer to a probe that is no header. */
export class ProbeError extends Error {
  override readonly name = "ProbeError";
  /** Of gRPC. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Asks a quorum for the revision of the store and, in the same request, whether the caller may read the ranges (rules
 * 10, 34). Nothing is read.
 * @returns the header of the answer
 * @throws ProbeError
 */
export type SendProbe = (ranges: readonly KeyRange[]) => Promise<HeaderView>;

/** Refusals that may concern one of the ranges alone. */
const refusalCodes: ReadonlySet<number> = new Set([3, 7, 9, 11, 16]);
const maxRanges = 100;

interface Waiter {
  readonly range: KeyRange;
  resolve(header: HeaderView): void;
  reject(error: unknown): void;
}

/**
 * Shares probes: one in the air, one gathering behind it. Who comes while one is in the air waits for the next, for the
 * answer to a probe says nothing of what was written after it was sent (rule 1).
 */
export class ProbeFlight {
  readonly #send: SendProbe;
  #waiting: Waiter[] = [];
  #isInTheAir = false;
  /** Probes sent so far. */
  sent = 0;

  constructor(send: SendProbe) {
    this.#send = send;
  }

  probe(range: KeyRange): Promise<HeaderView> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ range, resolve, reject });
      if (!this.#isInTheAir) void this.#fly();
    });
  }

  async #fly(): Promise<void> {
    this.#isInTheAir = true;
    while (this.#waiting.length > 0) {
      const waiters = this.#waiting.splice(0, maxRanges);
      await this.#ask(waiters);
    }
    this.#isInTheAir = false;
  }

  async #ask(waiters: readonly Waiter[]): Promise<void> {
    const ranges = new Map(waiters.map(({ range }) => [rangeId(range), range]));
    try {
      this.sent++;
      const header = await this.#send([...ranges.values()]);
      for (const { resolve } of waiters) resolve(header);
    } catch (error) {
      const isShared = ranges.size > 1 && error instanceof ProbeError && refusalCodes.has(error.code);
      if (isShared) await Promise.all([...ranges.keys()].map((id) => this.#askAlone(id, waiters)));
      else for (const { reject } of waiters) reject(error);
    }
  }

  #askAlone(id: string, waiters: readonly Waiter[]): Promise<void> {
    return this.#ask(waiters.filter(({ range }) => rangeId(range) === id));
  }
}
