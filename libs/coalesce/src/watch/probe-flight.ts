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

/** What all who wait for a range wait for. */
interface Question extends PromiseWithResolvers<HeaderView> {
  readonly range: KeyRange;
}

/**
 * Shares probes: one in the air, one gathering behind it. Who comes while one is in the air waits for the next, for the
 * answer to a probe says nothing of what was written after it was sent (rule 1).
 */
export class ProbeFlight {
  readonly #send: SendProbe;
  /** Who waits for the next probe, by range: thousands who watch the same ask once. */
  #waiting = new Map<string, Question>();
  #isInTheAir = false;
  /** Probes sent so far. */
  sent = 0;

  constructor(send: SendProbe) {
    this.#send = send;
  }

  probe(range: KeyRange): Promise<HeaderView> {
    const id = rangeId(range);
    const known = this.#waiting.get(id);
    if (known !== undefined) return known.promise;
    const question: Question = { range, ...Promise.withResolvers<HeaderView>() };
    this.#waiting.set(id, question);
    if (!this.#isInTheAir) void this.#fly();
    return question.promise;
  }

  async #fly(): Promise<void> {
    this.#isInTheAir = true;
    while (this.#waiting.size > 0) await this.#ask(this.#board());
    this.#isInTheAir = false;
  }

  /** Those who have waited longest, as many as fit. */
  #board(): readonly Question[] {
    const questions: Question[] = [];
    for (const [id, question] of this.#waiting) {
      if (questions.length === maxRanges) break;
      questions.push(question);
      this.#waiting.delete(id);
    }
    return questions;
  }

  async #ask(questions: readonly Question[]): Promise<void> {
    try {
      this.sent++;
      const header = await this.#send(questions.map(({ range }) => range));
      for (const { resolve } of questions) resolve(header);
    } catch (error) {
      const isShared = questions.length > 1 && error instanceof ProbeError && refusalCodes.has(error.code);
      if (isShared) await Promise.all(questions.map((question) => this.#ask([question])));
      else for (const { reject } of questions) reject(error);
    }
  }
}
