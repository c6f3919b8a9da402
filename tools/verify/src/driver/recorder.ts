import type { History, LeaseRecord, ReferenceChange } from "../history/history.ts";
import type { Action, Operation, Outcome } from "../history/operation.ts";
import type { RightRecord, RightsRecord } from "../history/rights.ts";
import type { WatchMessage, WatchRecord, WatchRequest, WatchVia } from "../history/watch-record.ts";

/** A watch while it is recorded. */
export interface OpenWatch {
  readonly id: number;
  readonly request: WatchRequest;
  readonly messages: WatchMessage[];
  cancelAskedAt?: number;
  isOpen: boolean;
}

/** A lease while it is recorded. */
export type OpenLease = { -readonly [K in keyof LeaseRecord]: LeaseRecord[K] } & {
  renewals: LeaseRecord["renewals"][number][];
};

/** A right while it is recorded. */
export type OpenRight = { -readonly [K in keyof RightRecord]: RightRecord[K] };

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Takes down what happens, in milliseconds since it was made. */
export class Recorder {
  readonly prefix: string;
  readonly operations: Operation[] = [];
  readonly compactions: { askedAt: number; revision: bigint }[] = [];
  readonly changes: ReferenceChange[] = [];
  readonly gaps: { after: bigint; upto: bigint }[] = [];
  readonly leases: OpenLease[] = [];
  readonly rights: OpenRight[] = [];
  /** What the door promises about those; nothing where all users may do everything. */
  rightsPromised: Omit<RightsRecord, "records"> | undefined;
  readonly #disturbances: [number, number][] = [];
  readonly #watches: {
    readonly fixed: Omit<WatchRecord, "messages" | "isOpenAtEnd">;
    readonly open: OpenWatch;
  }[] = [];
  readonly #start = performance.now();
  #from = 0n;
  /** The highest revision anybody was told: where random starts are drawn from. */
  head = 0n;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  now(): number {
    return performance.now() - this.#start;
  }

  /** The reference knows everything above this revision. */
  beginAt(revision: bigint): void {
    this.#from = revision;
    this.saw(revision);
  }

  get from(): bigint {
    return this.#from;
  }

  saw(revision: bigint): void {
    if (revision > this.head) this.head = revision;
  }

  /** @param user one who may do some things only */
  operation(client: number, action: Action, invokedAt: number, outcome: Outcome, user?: string): void {
    const id = this.operations.length;
    if (outcome.t === "answered") this.saw(outcome.revision);
    const common = { id, client, invokedAt, returnedAt: this.now(), action, outcome };
    this.operations.push(user === undefined ? common : { ...common, user });
  }

  watch(
    client: number,
    stream: number,
    request: WatchRequest,
    more: {
      readonly resumes?: number | undefined;
      readonly user?: string | undefined;
      readonly via?: WatchVia;
    } = {},
  ): OpenWatch {
    const id = this.#watches.length;
    const open: OpenWatch = { id, request, messages: [], isOpen: true };
    const fixed: Writable<Omit<WatchRecord, "messages" | "isOpenAtEnd">> = {
      id,
      client,
      stream,
      request,
      askedAt: this.now(),
    };
    if (more.resumes !== undefined) fixed.resumes = more.resumes;
    if (more.user !== undefined) fixed.user = more.user;
    if (more.via !== undefined) fixed.via = more.via;
    this.#watches.push({ fixed, open });
    return open;
  }

  /** Something is disturbed from now until the returned function is called. */
  disturb(): () => void {
    const span: [number, number] = [this.now(), Number.POSITIVE_INFINITY];
    this.#disturbances.push(span);
    return () => {
      span[1] = this.now();
    };
  }

  /** Watches that are open and have been created. */
  get openWatches(): readonly OpenWatch[] {
    return this.#watches.map(({ open }) => open).filter((open) => open.isOpen);
  }

  toHistory(calmFrom: number): History {
    const endedAt = this.now();
    return {
      prefix: this.prefix,
      operations: this.operations,
      watches: this.#watches.map(({ fixed, open }) => ({
        ...fixed,
        messages: open.messages,
        isOpenAtEnd: open.isOpen,
        ...(open.cancelAskedAt === undefined ? {} : { cancelAskedAt: open.cancelAskedAt }),
      })),
      leases: this.leases,
      ...(this.rightsPromised && { rights: { ...this.rightsPromised, records: this.rights } }),
      compactions: this.compactions,
      reference: { from: this.#from, changes: this.changes, gaps: this.gaps },
      calmFrom,
      endedAt,
      disturbances: this.#disturbances.map(([from, to]) => [from, Math.min(to, endedAt)] as const),
    };
  }
}
