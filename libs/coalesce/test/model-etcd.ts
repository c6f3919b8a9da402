import {
  create,
  type Event,
  EventSchema,
  fromBinary,
  type KeyValue,
  KeyValueSchema,
  toBinary,
  type WatchCreateRequest,
  WatchRequestSchema,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import { hasKey, type KeyRange, toKeyRange } from "../src/range/key-range.ts";
import type { StreamPort, StreamSink } from "../src/upstream/upstream-stream.ts";
import { gatesOf, type VersionGates } from "../src/upstream/version-gates.ts";

/** One change of a key. */
export interface Change {
  readonly revision: bigint;
  readonly key: string;
  readonly isDelete: boolean;
  readonly value: string;
  readonly version: bigint;
  readonly createRevision: bigint;
}

/** A member, which has applied part of the history. */
export interface ModelMember {
  readonly name: string;
  applied: bigint;
  isDown: boolean;
}

/** Chance, with a seed. */
export interface Chance {
  /** A whole number from 0 up to, not including, `below`. */
  int(below: number): number;
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/**
 * What etcd promises, as plainly as it can be said: a history, members that apply it late, and watch streams that say it
 * in pieces of any size, when they like.
 */
export class ModelEtcd {
  readonly history: Change[] = [];
  head = 1n;
  compactRevision = 0n;
  clusterId = 7n;
  raftTerm = 2n;
  readonly members: ModelMember[];
  readonly streams: Set<ModelStream> = new Set();
  readonly chance: Chance;
  readonly version: string;
  /** Watches that were opened, for counting. */
  opened = 0;

  constructor(chance: Chance, options: { readonly members: number; readonly version: string }) {
    this.chance = chance;
    this.version = options.version;
    this.members = Array.from({ length: options.members }, (_, i) => ({
      name: `m${i}`,
      applied: 1n,
      isDown: false,
    }));
  }

  /** Changes keys in one transaction. A delete of what is not there changes nothing. */
  commit(
    changes: readonly { readonly key: string; readonly isDelete: boolean; readonly value: string }[],
  ): void {
    const revision = this.head + 1n;
    const effective = changes.filter(
      ({ key, isDelete }) => !isDelete || this.at(key, this.head) !== undefined,
    );
    if (effective.length === 0) return;
    for (const { key, isDelete, value } of effective) {
      const before = this.at(key, this.head);
      this.history.push({
        revision,
        key,
        isDelete,
        value: isDelete ? "" : value,
        version: isDelete ? 0n : (before?.version ?? 0n) + 1n,
        createRevision: isDelete ? 0n : (before?.createRevision ?? revision),
      });
    }
    this.head = revision;
  }

  /** The key as it was at a revision. */
  at(key: string, revision: bigint): Change | undefined {
    const last = this.history.findLast((change) => change.key === key && change.revision <= revision);
    return last?.isDelete === true ? undefined : last;
  }

  /** A backup is restored: the same cluster, an earlier revision, a lower term; every stream ends. */
  restore(head: bigint): void {
    this.history.splice(0, this.history.length, ...this.history.filter(({ revision }) => revision <= head));
    this.head = head;
    this.raftTerm -= 1n;
    for (const member of this.members) member.applied = head;
    for (const stream of [...this.streams]) stream.break();
  }

  openStream(member: string, sink: StreamSink): StreamPort {
    const stream = new ModelStream(this, member, sink);
    this.streams.add(stream);
    return stream;
  }

  memberOf(name: string): ModelMember {
    const member = this.members.find((one) => one.name === name);
    if (member === undefined) throw new Error(`no member ${name}`);
    return member;
  }
}

interface ModelWatch {
  readonly id: bigint;
  readonly range: KeyRange;
  readonly prevKv: boolean;
  /** The next revision to be said. */
  next: bigint;
}

/** A Watch call at one member. What it has to say waits in a queue until the test lets it out. */
export class ModelStream implements StreamPort {
  readonly member: string;
  readonly #etcd: ModelEtcd;
  readonly #sink: StreamSink;
  readonly #outbox: Uint8Array[] = [];
  readonly #watches = new Map<bigint, ModelWatch>();
  #nextId = 0n;
  #isOver = false;

  constructor(etcd: ModelEtcd, member: string, sink: StreamSink) {
    this.#etcd = etcd;
    this.member = member;
    this.#sink = sink;
  }

  acceptsCluster(): boolean {
    return true;
  }

  askGates(): Promise<VersionGates> {
    return Promise.resolve(gatesOf(this.#etcd.version));
  }

  send(request: Uint8Array): void {
    const { requestUnion } = fromBinary(WatchRequestSchema, request);
    if (requestUnion.case === "createRequest") this.#create(requestUnion.value);
    else if (requestUnion.case === "cancelRequest") this.#cancel(requestUnion.value.watchId);
    else this.#answerProgress();
  }

  cancel(): void {
    this.#isOver = true;
    this.#etcd.streams.delete(this);
  }

  /** The connection breaks: what was not said yet is lost. */
  break(message = "connection lost"): void {
    if (this.#isOver) return;
    this.cancel();
    this.#sink.onEnd(14, message);
  }

  get watchCount(): number {
    return this.#watches.size;
  }

  /** What is watched on it. */
  get ranges(): readonly KeyRange[] {
    return [...this.#watches.values()].map(({ range }) => range);
  }

  /** Whether everything there is to say has been said. */
  get isQuiet(): boolean {
    const { applied } = this.#etcd.memberOf(this.member);
    const isBehind = [...this.#watches.values()].some(({ next }) => next <= applied);
    return this.#outbox.length === 0 && !isBehind;
  }

  /** Lets one message out. */
  deliver(): void {
    const message = this.#outbox.shift();
    if (message !== undefined && !this.#isOver) this.#sink.onMessage(message);
  }

  /** One watch says some more of what its member has applied; or that it cannot. */
  sync(): void {
    const { applied } = this.#etcd.memberOf(this.member);
    const behind = [...this.#watches.values()].filter(({ next }) => next <= applied);
    const watch = behind[this.#etcd.chance.int(Math.max(1, behind.length))];
    if (watch === undefined) return;
    if (watch.next < this.#etcd.compactRevision) {
      this.#watches.delete(watch.id);
      this.#say({ watchId: watch.id, canceled: true, compactRevision: this.#etcd.compactRevision }, 0n);
      return;
    }
    const upto = watch.next + BigInt(this.#etcd.chance.int(Number(applied - watch.next) + 1));
    const changes = this.#etcd.history.filter(
      ({ key, revision }) => revision >= watch.next && revision <= upto && hasKey(watch.range, latin1(key)),
    );
    watch.next = upto + 1n;
    this.#sayEvents(watch, changes, applied);
  }

  /** A member restored from a snapshot cancels a watch that has missed nothing, by an old marker of it (rule 15). */
  claimCompacted(): void {
    const { compactRevision } = this.#etcd;
    const watches = [...this.#watches.values()].filter(({ next }) => next > compactRevision);
    const watch = watches[this.#etcd.chance.int(Math.max(1, watches.length))];
    if (watch === undefined || compactRevision === 0n) return;
    this.#watches.delete(watch.id);
    this.#say({ watchId: watch.id, canceled: true, compactRevision }, 0n);
  }

  /** The notification that etcd sends now and then by itself. */
  notifyProgress(): void {
    const { applied } = this.#etcd.memberOf(this.member);
    for (const watch of this.#watches.values()) {
      if (watch.next === applied + 1n) this.#say({ watchId: watch.id }, applied);
    }
  }

  #create(request: WatchCreateRequest): void {
    const range = toKeyRange(request);
    if (range === undefined || request.startRevision < 1n || !request.fragment)
      throw new Error("not asked as it must be");
    this.#etcd.opened++;
    const watch = { id: this.#nextId++, range, prevKv: request.prevKv, next: request.startRevision };
    this.#watches.set(watch.id, watch);
    this.#say({ watchId: watch.id, created: true }, this.#etcd.memberOf(this.member).applied);
  }

  #cancel(watchId: bigint): void {
    if (!this.#watches.delete(watchId)) return;
    this.#say({ watchId, canceled: true }, this.#etcd.memberOf(this.member).applied);
  }

  #answerProgress(): void {
    const { applied } = this.#etcd.memberOf(this.member);
    const isSynced = [...this.#watches.values()].every(({ next }) => next > applied);
    // Old ones answer whether or not it is true (rule 4).
    const isOld = this.#etcd.version === "3.4.23";
    if (isOld || (isSynced && this.#watches.size > 0)) this.#say({ watchId: -1n }, applied);
  }

  #sayEvents(watch: ModelWatch, changes: readonly Change[], revision: bigint): void {
    const { chance } = this.#etcd;
    let rest = changes;
    while (rest.length > 0) {
      const count = chance.int(4) === 0 ? 1 + chance.int(rest.length) : rest.length;
      const events = rest.slice(0, count).map((change) => this.#eventOf(change, watch.prevKv));
      rest = rest.slice(count);
      this.#say({ watchId: watch.id, events, fragment: rest.length > 0 }, revision);
    }
  }

  #eventOf(change: Change, withPrevKv: boolean): Event {
    const before = this.#etcd.at(change.key, change.revision - 1n);
    // etcd leaves it out where the revision before is compacted, and now and then at the start of a watch (rule 20).
    const isKept = change.revision - 1n >= this.#etcd.compactRevision && this.#etcd.chance.int(8) > 0;
    return create(EventSchema, {
      type: change.isDelete ? 1 : 0,
      kv: toKeyValue(change),
      ...(withPrevKv && before !== undefined && isKept ? { prevKv: toKeyValue(before) } : {}),
    });
  }

  #say(response: object, revision: bigint): void {
    const header = { clusterId: this.#etcd.clusterId, memberId: 1n, revision, raftTerm: this.#etcd.raftTerm };
    this.#outbox.push(toBinary(WatchResponseSchema, create(WatchResponseSchema, { header, ...response })));
  }
}

/** The key as etcd stores it. */
export function toKeyValue({ key, value, version, createRevision, revision }: Change): KeyValue {
  return create(KeyValueSchema, {
    key: latin1(key),
    value: latin1(value),
    version,
    createRevision,
    modRevision: revision,
  });
}
