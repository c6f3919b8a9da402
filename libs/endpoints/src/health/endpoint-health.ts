/**
 * What is believed about one endpoint. Pure: time and randomness come in with the event.
 *
 *                 alive                    silent
 *     unknown ───────────▶ healthy ───────────────────▶ suspect ──┐ silent, not yet
 *       │  │                ▲   ▲ ▲          alive         │  ▲───┘ `silencesToEject` times
 *       │  │ silent         │   │ └────────────────────────┤
 *       │  └────────────────┼───┼──────────────────────────┘▲
 *       │                   │   │ alive                     │ unreachable, or silent
 *       │ unreachable       │ probing ◀──────────┐          │ too often
 *       │                   │   │ unreachable,   │ retry-due│
 *       │                   │   ▼ silent         │          │
 *       └───────────────────┼─▶ ejected ─────────┘◀─────────┘
 *                           └──── healthy on unreachable or failing goes to ejected, too
 *
 * `silent` = it accepted us and said nothing in time (a stopped process, a lost packet): one more chance as `suspect`,
 * where it is used only if nobody better is left. `unreachable` = refused, reset, no route, dial timeout: out at once.
 * `failing` = it fails the work that others do (an outlier): out for longer, because the probes that would take it back found
 * nothing wrong. `probing` is the half-open state: one probe decides, no client is sent there.
 */
export type EndpointHealth =
  | { readonly t: "unknown" }
  /** `ejections`: how often in a row it was ejected before; forgotten after `steadyMs` of health. */
  | { readonly t: "healthy"; readonly sinceMs: number; readonly ejections: number }
  | { readonly t: "suspect"; readonly silences: number; readonly ejections: number; readonly error: string }
  | {
      readonly t: "ejected";
      readonly ejections: number;
      readonly waitMs: number;
      readonly retryAtMs: number;
      readonly error: string;
    }
  | { readonly t: "probing"; readonly ejections: number; readonly error: string };

export type HealthEvent =
  | { readonly t: "alive" }
  | { readonly t: "silent"; readonly error: string }
  | { readonly t: "unreachable"; readonly error: string }
  | { readonly t: "failing"; readonly error: string }
  | { readonly t: "retry-due" };

export type HealthPolicy = {
  /** Silences in a row that eject. */
  readonly silencesToEject: number;
  /** Wait before the first try of an ejected endpoint; doubles with every ejection in a row. */
  readonly minRetryMs: number;
  /** The same for an outlier. */
  readonly minOutlierRetryMs: number;
  readonly maxRetryMs: number;
  /** After so long in health earlier ejections no longer lengthen the next wait. */
  readonly steadyMs: number;
};

export type HealthMoment = {
  readonly nowMs: number;
  /** Uniform in [0, 1): spreads the retries of many replicas. */
  readonly random: number;
};

/** The state after `event`; the same object if the event means nothing in this state. */
export function nextHealth(
  state: EndpointHealth,
  event: HealthEvent,
  policy: HealthPolicy,
  moment: HealthMoment,
): EndpointHealth {
  switch (event.t) {
    case "alive":
      if (state.t === "healthy") return state;
      return { t: "healthy", sinceMs: moment.nowMs, ejections: ejectionsOf(state) };
    case "silent":
      return onSilence(state, event.error, policy, moment);
    case "unreachable":
      return state.t === "ejected" ? state : eject(state, event.error, policy, moment);
    case "failing": {
      // What ends now may have been given to it before.
      if (state.t === "ejected" || state.t === "probing") return state;
      const minRetryMs = Math.max(policy.minRetryMs, policy.minOutlierRetryMs);
      return eject(state, event.error, { ...policy, minRetryMs }, moment);
    }
    case "retry-due":
      return state.t === "ejected" ? { t: "probing", ejections: state.ejections, error: state.error } : state;
    default:
      return event satisfies never;
  }
}

function onSilence(
  state: EndpointHealth,
  error: string,
  policy: HealthPolicy,
  moment: HealthMoment,
): EndpointHealth {
  if (state.t === "ejected") return state;
  if (state.t === "probing") return eject(state, error, policy, moment);
  const silences = state.t === "suspect" ? state.silences + 1 : 1;
  if (silences >= policy.silencesToEject) return eject(state, error, policy, moment);
  return { t: "suspect", silences, ejections: steadyEjections(state, policy, moment), error };
}

function eject(
  state: EndpointHealth,
  error: string,
  policy: HealthPolicy,
  { nowMs, random }: HealthMoment,
): EndpointHealth {
  const ejections = steadyEjections(state, policy, { nowMs, random }) + 1;
  const fullMs = Math.min(policy.maxRetryMs, policy.minRetryMs * 2 ** Math.min(ejections - 1, 30));
  const waitMs = Math.max(1, Math.round(fullMs * (0.75 + 0.25 * random))); // jitter only shortens: the cap is a promise
  return { t: "ejected", ejections, waitMs, retryAtMs: nowMs + waitMs, error };
}

function ejectionsOf(state: EndpointHealth): number {
  return state.t === "unknown" ? 0 : state.ejections;
}

function steadyEjections(state: EndpointHealth, policy: HealthPolicy, { nowMs }: HealthMoment): number {
  return state.t === "healthy" && nowMs - state.sinceMs >= policy.steadyMs ? 0 : ejectionsOf(state);
}
