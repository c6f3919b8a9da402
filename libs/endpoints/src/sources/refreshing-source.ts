import { type Clock, systemClock, type Timer } from "@etcd-edge/runtime";
import type { Endpoint } from "../endpoint.ts";
import { type EndpointSet, EndpointSetHolder, type EndpointSource } from "../endpoint-set.ts";
import type { RandomSource } from "../picker.ts";

export type LoadedEndpoints = {
  readonly endpoints: readonly Endpoint[];
  /** When to load again. */
  readonly refreshInMs: number;
};

export type RefreshOutcome =
  | { readonly t: "loaded"; readonly set: EndpointSet; readonly isChanged: boolean }
  /** The set stays what it was: endpoints that worked a minute ago are better than none. */
  | { readonly t: "failed"; readonly error: unknown; readonly retryInMs: number };

export type RefreshingSourceOptions = {
  /** `current` is the set so far. Rejects when nothing could be learned. */
  readonly load: (current: EndpointSet, signal: AbortSignal) => Promise<LoadedEndpoints>;
  /** Called after every attempt. */
  readonly onOutcome?: ((outcome: RefreshOutcome) => void) | undefined;
  /** Bounds of the wait after a failure; it doubles from the first to the second. Defaults 500 and 30,000. */
  readonly minRetryMs?: number;
  readonly maxRetryMs?: number;
  readonly clock?: Clock | undefined;
  readonly random?: RandomSource | undefined;
};

export type RefreshingSource = EndpointSource & {
  /** How the first attempt went. Never rejects; stays pending if the source is disposed before. */
  readonly firstOutcome: Promise<RefreshOutcome>;
  /** Asks for a load now, because what it says proved wrong. At most one per `minRetryMs`. */
  refresh(): void;
};

/**
 *            loaded                        wait over, or refresh()
 *  loading ─────────▶ waiting(refreshInMs) ──────────▶ loading
 *     │      failed
 *     └─────────────▶ waiting(retry, doubling) ──────▶ loading
 *
 *  any ── dispose ──▶ ended
 */
type State =
  | { readonly t: "loading"; readonly abort: AbortController; readonly failures: number }
  | {
      readonly t: "waiting";
      readonly timer: Timer;
      readonly sinceMs: number;
      readonly failures: number;
    }
  | { readonly t: "ended" };

/** A source that loads its set again and again, at the pace the loads themselves give. Starts at once. */
export function createRefreshingSource(options: RefreshingSourceOptions): RefreshingSource {
  const {
    load,
    onOutcome,
    minRetryMs = 500,
    maxRetryMs = 30_000,
    clock = systemClock,
    random = Math.random,
  } = options;
  const holder = new EndpointSetHolder();
  const first = Promise.withResolvers<RefreshOutcome>();
  let state: State = enterLoading(0);

  function enterLoading(failures: number): State {
    const abort = new AbortController();
    // Deferred, so that a load that settles at once finds `state` assigned.
    queueMicrotask(() => void attempt(abort, failures));
    return { t: "loading", abort, failures };
  }

  async function attempt(abort: AbortController, failures: number): Promise<void> {
    let outcome: RefreshOutcome;
    let waitMs: number;
    try {
      const before = holder.current();
      const loaded = await load(before, abort.signal);
      if (abort.signal.aborted) return;
      const set = holder.update(loaded.endpoints);
      outcome = { t: "loaded", set, isChanged: set !== before };
      waitMs = loaded.refreshInMs;
    } catch (error) {
      if (abort.signal.aborted) return;
      waitMs = Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(failures, 30)) * (0.75 + 0.25 * random());
      outcome = { t: "failed", error, retryInMs: waitMs };
    }
    state = enterWaiting(waitMs, outcome.t === "failed" ? failures + 1 : 0);
    onOutcome?.(outcome);
    first.resolve(outcome);
  }

  function enterWaiting(waitMs: number, failures: number): State {
    const timer = clock.setTimer(waitMs, () => {
      state = enterLoading(failures);
    });
    return { t: "waiting", timer, sinceMs: clock.nowMs(), failures };
  }

  return {
    firstOutcome: first.promise,
    current: () => holder.current(),
    subscribe: (listener) => holder.subscribe(listener),
    refresh() {
      if (state.t !== "waiting" || clock.nowMs() - state.sinceMs < minRetryMs) return;
      state.timer.stop();
      state = enterLoading(state.failures);
    },
    [Symbol.asyncDispose]() {
      if (state.t === "loading") state.abort.abort();
      if (state.t === "waiting") state.timer.stop();
      state = { t: "ended" };
      return Promise.resolve();
    },
  };
}
