import { type RangeShape, readRangeShape } from "@etcd-edge/proto";
import type { Clock } from "../ports.ts";
import { toLatin1 } from "../range/bytes.ts";
import { LargeAnswers } from "./large-answers.ts";
import type { ReadMembers, ReadScope, Reads, SharedRead } from "./ports.ts";
import type { ReadContext } from "./read-context.ts";
import { ReadGroup } from "./read-group.ts";
import { createReadCounts, defaultReadLimits, type ReadCounts, type ReadLimits } from "./read-limits.ts";
import { Suspects } from "./suspects.ts";

/** What a hub is made of. */
export interface ReadHubOptions<M> {
  readonly members: ReadMembers<M>;
  readonly clock: Clock;
  /** Calls back when the turn of the event loop that brought the present reads is over, and before it sends anything. */
  readonly defer: (callback: () => void) => void;
  /** Makes of the bytes of a RangeResponse what callers get: a namespace takes its prefix off. It may throw. */
  readonly toAnswer?: (payload: Uint8Array) => Uint8Array;
  readonly limits?: Partial<ReadLimits>;
  /** What another hub counts in too. */
  readonly counts?: ReadCounts;
}

/**
 * Lets linearizable reads share what they cost etcd. A read may share only what STARTS after it arrived: anything older may
 * answer with the past (rule 28). Equal reads are one; different small ones travel as one Txn (rule 27).
 */
export class ReadHub<M> implements Reads {
  readonly counts: ReadCounts;
  readonly #context: ReadContext<M>;
  readonly #defer: (callback: () => void) => void;
  readonly #groups = new Map<string, ReadGroup<M>>();
  /** Ids of scopes, for callers that come with the same object again. */
  readonly #ids = new WeakMap<ReadScope, string>();
  /** With reads of this turn. */
  #due = new Set<ReadGroup<M>>();

  constructor(options: ReadHubOptions<M>) {
    const limits = { ...defaultReadLimits, ...options.limits };
    this.#defer = options.defer;
    this.counts = options.counts ?? createReadCounts();
    this.#context = {
      members: options.members,
      clock: options.clock,
      limits,
      counts: this.counts,
      suspects: new Suspects(),
      large: new LargeAnswers(),
      toAnswer: options.toAnswer,
      maxOps: limits.maxOps,
      avoided: new Map(),
    };
  }

  /**
   * Takes a read that `findShareable` has let through.
   * @returns how to leave: cancelled, or out of time
   */
  read(scope: ReadScope, shape: RangeShape, read: SharedRead): () => void {
    const key = read.key ?? toLatin1(read.request);
    const { suspects, clock } = this.#context;
    if (suspects.isRefused(key, clock.nowMs())) {
      let isGone = false;
      this.#defer(() => {
        if (!isGone) read.settle({ t: "failed", failure: suspicious });
      });
      return () => {
        isGone = true;
      };
    }
    const group = this.#groupOf(scope);
    const leave = group.add(key, shape, read);
    if (this.#due.size === 0) this.#defer(this.#dispatch);
    this.#due.add(group);
    return leave;
  }

  #groupOf(scope: ReadScope): ReadGroup<M> {
    let id = this.#ids.get(scope);
    if (id === undefined) {
      id = `${scope.hasLeader ? "l" : "-"}${scope.credential === undefined ? "" : `=${scope.credential}`}`;
      this.#ids.set(scope, id);
    }
    let group = this.#groups.get(id);
    if (group === undefined) {
      const groupId = id;
      group = new ReadGroup(this.#context, scope, () => this.#groups.delete(groupId));
      this.#groups.set(id, group);
    }
    return group;
  }

  readonly #dispatch = (): void => {
    const due = this.#due;
    this.#due = new Set();
    for (const group of due) group.dispatch();
  };
}

/** Whether an equal read may get the same answer: it asks a quorum, and for nothing that the schema does not know. */
function isShareable(shape: RangeShape): boolean {
  return shape.isKnown && !shape.isSerializable;
}

/** The shape of a request, if it can be shared; nothing for one that cannot, or is no RangeRequest at all. */
export function findShareable(request: Uint8Array): RangeShape | undefined {
  try {
    const shape = readRangeShape(request);
    return isShareable(shape) ? shape : undefined;
  } catch {
    return undefined; // etcd says what is wrong with it
  }
}

/** UNAVAILABLE. */
const suspicious = {
  code: 14,
  message: "this read was in the air when connections to etcd were lost twice within a minute",
};
