import type {
  LeaseClock,
  LeaseTimer,
  OpenRenewalStream,
  RenewalFailure,
  RenewalScope,
  RenewalStreamSink,
} from "./ports.ts";

/** A clock for tests: time moves when told to, timers fire in order while it does. */
export class ManualClock implements LeaseClock {
  #now = 0;
  #skew = 0;
  #timers: { readonly atMs: number; readonly fire: () => void }[] = [];

  nowMs(): number {
    return this.#now;
  }

  wallMs(): number {
    return this.#now + this.#skew;
  }

  setTimer(delayMs: number, fire: () => void): LeaseTimer {
    const timer = { atMs: this.#now + delayMs, fire };
    this.#timers.push(timer);
    return {
      stop: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  advance(byMs: number): void {
    const until = this.#now + byMs;
    for (;;) {
      const [next] = this.#timers.filter(({ atMs }) => atMs <= until).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.atMs);
      next.fire();
    }
    this.#now = until;
  }

  /** The process was stopped: time passes, and no timer fires before what comes next. */
  freeze(forMs: number): void {
    this.#now += forMs;
  }

  /** The machine slept: only the wall clock went on. */
  sleep(forMs: number): void {
    this.#skew += forMs;
  }
}

/** A lease as the fake etcd has it. `blocked`: expired and not yet revoked, its renewal does not return. */
export interface FakeLease {
  readonly ttlSeconds: number;
  expiresAtMs: number;
  state: "alive" | "blocked" | "gone";
}

interface FakeStream {
  readonly member: string;
  readonly scope: RenewalScope;
  readonly sink: RenewalStreamSink;
  readonly queue: bigint[];
  isBusy: boolean;
  isOver: boolean;
}

/**
 * Members of an etcd that answer LeaseKeepAlive one by one on each stream, as the real ones do. Leases belong to the
 * cluster; a member can be stopped, leaderless, or slow.
 */
export class FakeMembers {
  readonly leases: Map<bigint, FakeLease> = new Map();
  readonly streams: FakeStream[] = [];
  /** Every renewal that reached a member, in order. */
  readonly renewals: { leaseId: bigint; member: string; atMs: number; credential: string | undefined }[] = [];
  readonly stopped: Set<string> = new Set();
  readonly leaderless: Set<string> = new Set();
  readonly refusals: Map<bigint, RenewalFailure> = new Map();
  leader = "a";
  members: readonly string[] = ["a", "b", "c"];
  latencyMs = 1;
  maxOpen = 0;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  grant(leaseId: bigint, ttlSeconds: number): FakeLease {
    const expiresAtMs = this.#clock.nowMs() + ttlSeconds * 1000;
    const lease: FakeLease = { ttlSeconds, expiresAtMs, state: "alive" };
    this.leases.set(leaseId, lease);
    return lease;
  }

  get open(): readonly FakeStream[] {
    return this.streams.filter(({ isOver }) => !isOver);
  }

  readonly openStream: OpenRenewalStream = (scope, avoid, sink) => {
    const member = [this.leader, ...this.members].find((one) => !avoid.has(one)) ?? this.members[0];
    if (member === undefined) return undefined;
    const stream: FakeStream = { member, scope, sink, queue: [], isBusy: false, isOver: false };
    this.streams.push(stream);
    this.maxOpen = Math.max(this.maxOpen, this.open.length);
    if (scope.hasLeader && this.leaderless.has(member)) {
      const failure = { code: 14, message: "etcdserver: no leader" };
      this.#later(() => this.end(stream, { t: "leaderLost", failure }));
    }
    return {
      member,
      isPreferred: (avoided) => member === this.leader || avoided.has(this.leader),
      send: (leaseId) => {
        stream.queue.push(leaseId);
        this.#work(stream);
      },
      cancel: () => {
        stream.isOver = true;
      },
    };
  };

  end(stream: FakeStream, end: Parameters<RenewalStreamSink["onEnd"]>[0]): void {
    if (stream.isOver) return;
    stream.isOver = true;
    stream.sink.onEnd(end);
  }

  /** Members go on with what they were stopped at. */
  resume(member: string): void {
    this.stopped.delete(member);
    for (const stream of this.open) if (stream.member === member) this.#work(stream);
  }

  #later(act: () => void): void {
    this.#clock.setTimer(this.latencyMs, act);
  }

  #work(stream: FakeStream): void {
    if (stream.isBusy || stream.queue.length === 0) return;
    stream.isBusy = true;
    this.#later(() => {
      stream.isBusy = false;
      if (!stream.isOver && !this.stopped.has(stream.member)) this.#answer(stream);
    });
  }

  #answer(stream: FakeStream): void {
    const [leaseId] = stream.queue;
    if (leaseId === undefined) return;
    const lease = this.leases.get(leaseId);
    const atMs = this.#clock.nowMs();
    if (lease !== undefined && lease.state === "alive" && lease.expiresAtMs < atMs) lease.state = "gone";
    if (lease?.state === "blocked") {
      stream.isBusy = true;
      this.#clock.setTimer(50, () => {
        stream.isBusy = false;
        this.#work(stream);
      });
      return;
    }
    stream.queue.shift();
    this.renewals.push({ leaseId, member: stream.member, atMs, credential: stream.scope.credential });
    const refusal = this.refusals.get(leaseId);
    if (refusal !== undefined) {
      this.end(stream, { t: "refused", failure: refusal });
      return;
    }
    const ttlSeconds = lease?.state === "alive" ? lease.ttlSeconds : 0;
    if (lease?.state === "alive") lease.expiresAtMs = atMs + lease.ttlSeconds * 1000;
    stream.sink.onReply({ leaseId, ttlSeconds, payload: new Uint8Array(0) });
    this.#work(stream);
  }
}
