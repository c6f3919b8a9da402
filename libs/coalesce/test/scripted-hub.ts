import {
  create,
  EventSchema,
  type EventView,
  fromBinary,
  type HeaderView,
  readWatchResponse,
  toBinary,
  type WatchCreateRequest,
  WatchCreateRequestSchema,
  WatchRequestSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import type { KeyRange } from "../src/range/key-range.ts";
import type {
  UpstreamWatch,
  UpstreamWatchRequest,
  UpstreamWatchSink,
  WatchSource,
} from "../src/upstream/upstream-watch.ts";
import { gatesOf, type VersionGates } from "../src/upstream/version-gates.ts";
import type { FanPort } from "../src/watch/fan.ts";
import { LogBudget } from "../src/watch/log-budget.ts";
import type { SendProbe } from "../src/watch/probe-flight.ts";
import { TimeLimit } from "../src/watch/time-limit.ts";
import { createOwnDesk, type WatchDesk } from "../src/watch/watch-desk.ts";
import { WatchHub } from "../src/watch/watch-hub.ts";
import { WatchSession } from "../src/watch/watch-session.ts";
import { FakeClock } from "./fake-clock.ts";
import type { ModelStreamPort } from "./model-connection.ts";

/** Bytes of a text of one-byte letters. */
export function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** A header of member 9 of cluster 7. */
export function header(revision: bigint): HeaderView {
  return { clusterId: 7n, memberId: 9n, revision, raftTerm: 2n };
}

/** Events as a stream would bring them, `"a@5"` for a put and `"-a@5"` for a delete; `prev` is what the key was before. */
export function events(texts: readonly string[], prev?: string): readonly EventView[] {
  const made = texts.map((text) => {
    const isDelete = text.startsWith("-");
    const [key = "", revision = "0"] = text.replace(/^-/, "").split("@");
    return create(EventSchema, {
      type: isDelete ? 1 : 0,
      kv: { key: bytes(key), modRevision: BigInt(revision), version: isDelete ? 0n : 2n },
      ...(prev === undefined ? {} : { prevKv: { key: bytes(key), value: bytes(prev) } }),
    });
  });
  return readWatchResponse(toBinary(WatchResponseSchema, create(WatchResponseSchema, { events: made })))
    .events;
}

/** An upstream watch whose etcd is the test. */
export class ScriptedWatch implements UpstreamWatch {
  readonly via = "etcd";
  readonly request: UpstreamWatchRequest;
  readonly sink: UpstreamWatchSink;
  readonly member: string;
  readonly streamId: string;
  readonly gates: VersionGates;
  isCancelled = false;
  progressRequests = 0;

  constructor(request: UpstreamWatchRequest, sink: UpstreamWatchSink, member: string, version: string) {
    this.request = request;
    this.sink = sink;
    this.member = member;
    this.streamId = request.isAlone ? `alone ${Math.random()}` : member;
    this.gates = gatesOf(version);
  }

  requestProgress(): void {
    this.progressRequests++;
  }

  cancel(): void {
    this.isCancelled = true;
  }

  created(revision = 0n): void {
    this.sink.onCreated(header(revision));
  }

  say(
    texts: readonly string[],
    options: { revision?: bigint; isFragment?: boolean; prev?: string } = {},
  ): void {
    this.sink.onEvents(
      events(texts, options.prev),
      options.isFragment ?? false,
      header(options.revision ?? 0n),
    );
  }
}

export const roomy: { maxTotalBytes: number; maxLogBytes: number } = {
  maxTotalBytes: 1 << 20,
  maxLogBytes: 1 << 20,
};

/** A hub whose etcd is the test, and sessions whose clients are. */
export class ScriptedHub {
  readonly clock: FakeClock;
  readonly opened: ScriptedWatch[] = [];
  readonly hub: WatchHub;
  version = "3.5.30";
  revision = 100n;
  /** Answers probes; the default says `revision` at once. */
  probe: SendProbe = (): Promise<HeaderView> => Promise.resolve(header(this.revision));
  probes: (readonly KeyRange[])[] = [];
  /** Who a member is and how far, as it tells everybody. */
  who = (): Promise<HeaderView> => Promise.resolve(header(this.revision));
  readonly previous: Map<string, string> = new Map();
  memberRevision = 0n;

  constructor(
    limits: { maxTotalBytes: number; maxLogBytes: number } = roomy,
    clock: FakeClock = new FakeClock(),
  ) {
    this.clock = clock;
    const source: WatchSource = {
      open: (request, sink) => {
        const watch = new ScriptedWatch(
          request,
          sink,
          request.toward ?? (request.avoid === "m1" ? "m2" : "m1"),
          this.version,
        );
        this.opened.push(watch);
        return watch;
      },
    };
    this.hub = new WatchHub({
      source,
      clock: this.clock,
      budget: new LogBudget(limits),
      sendProbe: (ranges) => {
        this.probes.push(ranges);
        return this.probe(ranges);
      },
      fetchPrevious: (key, revision) => {
        const value = this.previous.get(`${String.fromCharCode(...key)}@${revision}`);
        return Promise.resolve(value === undefined ? undefined : bytes(value));
      },
      readHeader: () => this.who(),
      memberRevision: () => Promise.resolve(this.memberRevision),
    });
  }

  /** The watch that was opened last. */
  get last(): ScriptedWatch {
    const last = this.opened.at(-1);
    if (last === undefined) throw new Error("nothing was opened");
    return last;
  }

  /** @param fans the connection, if it is one that sends what streams have in common */
  session(fans?: FanPort): ScriptedClient {
    return new ScriptedClient(this, fans);
  }
}

/** A client and its stream. */
export class ScriptedClient {
  readonly got: WatchResponse[] = [];
  readonly session: WatchSession;
  isReading = true;
  ended: { readonly code: number; readonly message: string } | undefined;

  /** @param desk where its watches hang; on the hub of the world by default */
  constructor(world: ScriptedHub, fans: FanPort | undefined, desk: WatchDesk = createOwnDesk(world.hub)) {
    const client = this;
    const port: ModelStreamPort = {
      fans,
      get isReading() {
        return client.isReading;
      },
      send: (head, body) => {
        this.got.push(fromBinary(WatchResponseSchema, Uint8Array.of(...head, ...body)));
        return this.isReading;
      },
      end: (code, message) => {
        this.ended = { code, message };
      },
    };
    this.session = new WatchSession(
      {
        desk,
        clock: world.clock,
        limits: { perStream: 3, perConnection: 100, total: 100, pendingPerStream: 100 },
        total: { watches: 0 },
        createLimit: new TimeLimit(world.clock, 5_000),
        fragmentBytes: 1 << 20,
        refusesNegativeStart: () => true,
        counters: { eventsOut: 0, createsRefused: 0 },
      },
      port,
      { watches: 0 },
    );
  }

  create(key: string, rest: Partial<Omit<WatchCreateRequest, "key" | "$typeName">> = {}): void {
    const value = create(WatchCreateRequestSchema, { key: bytes(key), ...rest });
    this.#send({ case: "createRequest", value });
  }

  cancel(watchId: bigint): void {
    this.#send({ case: "cancelRequest", value: { watchId } });
  }

  askProgress(): void {
    this.#send({ case: "progressRequest", value: {} });
  }

  #send(requestUnion: object): void {
    this.session.onMessage(
      toBinary(
        WatchRequestSchema,
        create(WatchRequestSchema, { requestUnion } as Parameters<typeof create>[1] as never),
      ),
    );
  }

  /** All events so far, as `events` takes them. */
  get events(): string[] {
    return this.got.flatMap(({ events: list }) =>
      list.map(
        ({ type, kv }) =>
          `${type === 1 ? "-" : ""}${String.fromCharCode(...(kv?.key ?? []))}@${kv?.modRevision}`,
      ),
    );
  }

  /** Answers without events, in short. */
  get control(): string[] {
    return this.got
      .filter(({ events: list }) => list.length === 0)
      .map((one) => {
        const what = one.created
          ? one.canceled
            ? "refused"
            : "created"
          : one.canceled
            ? "canceled"
            : "progress";
        const why =
          one.compactRevision > 0n
            ? ` compacted ${one.compactRevision}`
            : one.cancelReason && ` ${one.cancelReason}`;
        return `${what} ${one.watchId} at ${one.header?.revision}${why}`;
      });
  }
}
