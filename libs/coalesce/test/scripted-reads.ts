import type { MessageInitShape } from "@etcd-edge/proto";
import {
  create,
  fromBinary,
  type RangeRequest,
  RangeRequestSchema,
  type RangeResponse,
  RangeResponseSchema,
  TxnRequestSchema,
  TxnResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import type { ReadResult, ReadScope, UpstreamEnd, UpstreamRead } from "../src/read/ports.ts";
import { findShareable, ReadHub } from "../src/read/read-hub.ts";
import type { ReadLimits } from "../src/read/read-limits.ts";
import { FakeClock } from "./fake-clock.ts";
import { bytes } from "./scripted-hub.ts";

const anybody: ReadScope = { credential: undefined, hasLeader: false };

/** A request that is in the air at a member. */
export class InTheAir {
  readonly member: string;
  readonly read: UpstreamRead;
  /** Where the store was when the request was sent: the oldest answer that etcd may give. */
  readonly sentAt: bigint;
  isCancelled = false;
  readonly #onEnd: (end: UpstreamEnd) => void;
  readonly #world: ScriptedReads;

  constructor(world: ScriptedReads, member: string, read: UpstreamRead, onEnd: (end: UpstreamEnd) => void) {
    this.#world = world;
    this.member = member;
    this.read = read;
    this.sentAt = world.revision;
    this.#onEnd = onEnd;
  }

  /** The keys that are read, in order. */
  get keys(): string[] {
    return this.ranges().map(({ key }) => new TextDecoder().decode(key));
  }

  ranges(): RangeRequest[] {
    if (this.read.kind === "range") return [fromBinary(RangeRequestSchema, this.read.request)];
    return fromBinary(TxnRequestSchema, this.read.request).success.map(({ request }) => {
      if (request.case !== "requestRange") throw new Error("something else than a read");
      return request.value;
    });
  }

  /** As etcd answers, by default at the revision that the world is at now. */
  answer(revision: bigint = this.#world.revision): void {
    const header = { clusterId: 1n, memberId: 2n, revision, raftTerm: 3n };
    const inner = this.ranges().map(({ key }) => ({
      kvs: [{ key, value: this.#world.valueOf(key, revision) }],
      count: 1n,
    }));
    const [first] = inner;
    const payload =
      this.read.kind === "range"
        ? toBinary(RangeResponseSchema, create(RangeResponseSchema, { header, ...first }))
        : toBinary(
            TxnResponseSchema,
            create(TxnResponseSchema, {
              header,
              succeeded: true,
              responses: inner.map((one) => ({
                response: {
                  case: "responseRange" as const,
                  value: { ...one, header: { revision } },
                },
              })),
            }),
          );
    this.end({ t: "answered", payload });
  }

  refuse(code: number, message: string): void {
    this.end({ t: "refused", failure: { code, message } });
  }

  end(end: UpstreamEnd): void {
    this.#world.air = this.#world.air.filter((one) => one !== this);
    if (!this.isCancelled) this.#onEnd(end);
  }
}

/** What one caller sees. */
export class Caller {
  result: ReadResult | undefined;
  leave: () => void = () => {};

  /** `7: value`, `14 message`, or `aside`. */
  get seen(): string | undefined {
    if (this.result === undefined) return undefined;
    if (this.result.t === "aside") return "aside";
    if (this.result.t === "failed") return `${this.result.failure.code} ${this.result.failure.message}`;
    const { header, kvs } = this.response();
    return `${header?.revision}: ${new TextDecoder().decode(kvs[0]?.value)}`;
  }

  response(): RangeResponse {
    if (this.result?.t !== "answered") throw new Error(`no answer but ${this.seen}`);
    return fromBinary(RangeResponseSchema, Buffer.concat([this.result.head, this.result.body]));
  }
}

/** A hub over members that do nothing until they are told to. */
export class ScriptedReads {
  readonly clock: FakeClock;
  readonly hub: ReadHub<string>;
  members: string[] = ["m1"];
  takesTxn = true;
  revision = 100n;
  /** Every request in the air, oldest first. */
  air: InTheAir[] = [];
  #turn = 0;

  constructor(
    options: {
      clock?: FakeClock;
      limits?: Partial<ReadLimits>;
      toAnswer?: (payload: Uint8Array) => Uint8Array;
    } = {},
  ) {
    this.clock = options.clock ?? new FakeClock();
    this.hub = new ReadHub<string>({
      ...options,
      clock: this.clock,
      defer: queueMicrotask,
      members: {
        pick: (excluded) => {
          const free = this.members.filter((member) => !excluded.has(member));
          return free[this.#turn++ % free.length];
        },
        takesTxn: () => this.takesTxn,
        send: (member, read, onEnd) => {
          const flying = new InTheAir(this, member, read, onEnd);
          this.air.push(flying);
          return () => {
            flying.isCancelled = true;
            this.air = this.air.filter((one) => one !== flying);
          };
        },
      },
    });
  }

  /** What is stored under every key at a revision. */
  valueOf(key: Uint8Array, revision: bigint): Uint8Array {
    return bytes(`${new TextDecoder().decode(key)}@${revision}`);
  }

  /** @throws Error where it cannot be shared */
  read(
    request: string | MessageInitShape<typeof RangeRequestSchema>,
    { scope = anybody, deadlineMs }: { scope?: ReadScope; deadlineMs?: number } = {},
  ): Caller {
    const fields = typeof request === "string" ? { key: bytes(request) } : request;
    const payload = toBinary(RangeRequestSchema, create(RangeRequestSchema, fields));
    const shape = findShareable(payload);
    if (shape === undefined) throw new Error("not shareable");
    const caller = new Caller();
    caller.leave = this.hub.read(scope, shape, {
      request: payload,
      deadlineMs,
      settle: (result) => {
        if (caller.result !== undefined) throw new Error("settled twice");
        caller.result = result;
      },
    });
    return caller;
  }

  /** The request that has been in the air longest. */
  get first(): InTheAir {
    const [first] = this.air;
    if (first === undefined) throw new Error("nothing is in the air");
    return first;
  }

  /** Their keys. */
  get flying(): string[][] {
    return this.air.map(({ keys }) => keys);
  }
}
