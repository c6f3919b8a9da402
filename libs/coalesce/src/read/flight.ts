import {
  decodeReadTxn,
  encodeReadTxn,
  type HeaderView,
  peekHeaderRevision,
  readResponseHeader,
} from "@etcd-edge/proto";
import { concatBytes } from "../range/bytes.ts";
import type { Ask } from "./ask.ts";
import type { ReadFailure, ReadScope, UpstreamEnd } from "./ports.ts";
import type { ReadContext } from "./read-context.ts";

const nothing = new Uint8Array(0);
const internal = 13;

/** How a flight ended that brought no answers. */
export type Mishap = Exclude<UpstreamEnd, { t: "answered" }>;

/** What goes out in one request. */
export interface Flight<M> {
  /** Read by etcd. */
  readonly asks: readonly Ask[];
  /** Not read by etcd: all they need of its answer is the header. Nobody joins them either from now on. */
  readonly riders: readonly Ask[];
  readonly member: M;
  readonly scope: ReadScope;
  readonly isLone: boolean;
}

/**
 * Sends distinct reads in one request. Nobody joins any of them from now on: an answer that was on its way when a read
 * began may be older than that read (rule 28).
 * @param onEnd called once unless everybody left before; the answers have been given out then. With the header of the answer,
 *   if there are riders
 */
export function fly<M>(
  context: ReadContext<M>,
  { asks, riders, member, scope, isLone }: Flight<M>,
  onEnd: (mishap: Mishap | undefined, header?: HeaderView) => void,
): void {
  const { members, clock, limits, counts } = context;
  let deadlineMs = 0;
  for (const ask of asks) deadlineMs = Math.max(deadlineMs, ask.latestDeadlineMs());
  for (const ask of riders) deadlineMs = Math.max(deadlineMs, ask.latestDeadlineMs());
  deadlineMs = Math.min(deadlineMs, clock.nowMs() + limits.maxFlightMs);
  const [first] = asks;
  const isBatch = asks.length > 1;
  const request = isBatch ? encodeReadTxn(asks.map((ask) => ask.request)) : (first?.request ?? nothing);
  counts.sent++;
  if (isBatch) {
    counts.batches++;
    counts.batched += asks.length;
  }
  const kind = isBatch ? "txn" : "range";
  const client = first?.client ?? scope.credential;
  const cancel = members.send(member, { kind, request, scope, isLone, client, deadlineMs }, (end) => {
    for (const ask of asks) ask.onAbandoned = undefined;
    for (const ask of riders) ask.onAbandoned = undefined;
    if (end.t !== "answered") {
      onEnd(end);
      return;
    }
    giveOut(context, asks, end.payload);
    if (riders.length === 0) onEnd(undefined);
    else onEnd(undefined, readResponseHeader(end.payload));
  });
  const onAbandoned = (): void => {
    if (!asks.every((ask) => ask.isAbandoned) || !riders.every((ask) => ask.isAbandoned)) return;
    for (const ask of asks) ask.onAbandoned = undefined;
    for (const ask of riders) ask.onAbandoned = undefined;
    cancel();
    onEnd(undefined);
  };
  for (const ask of asks) ask.onAbandoned = onAbandoned;
  for (const ask of riders) ask.onAbandoned = onAbandoned;
}

function giveOut<M>(context: ReadContext<M>, asks: readonly Ask[], payload: Uint8Array): void {
  const [first] = asks;
  if (first !== undefined && asks.length === 1) {
    answer(context, first, nothing, payload, peekHeaderRevision(payload));
    return;
  }
  let answers: ReturnType<typeof decodeReadTxn>;
  try {
    answers = decodeReadTxn(payload, asks.length);
  } catch (error) {
    for (const ask of asks) ask.settle({ t: "failed", failure: failureOf(error) });
    return;
  }
  const revision = peekHeaderRevision(answers.header);
  for (const [index, ask] of asks.entries())
    answer(context, ask, answers.header, answers.rests[index] ?? nothing, revision);
}

function answer<M>(
  context: ReadContext<M>,
  ask: Ask,
  head: Uint8Array,
  body: Uint8Array,
  revision: bigint,
): void {
  context.suspects.noteAnswer(ask.key);
  context.large.note(ask.key, head.length + body.length);
  if (ask.isAbandoned) return;
  try {
    if (context.toAnswer === undefined) ask.settle({ t: "answered", head, body, revision });
    else
      ask.settle({ t: "answered", head: nothing, body: context.toAnswer(concatBytes(head, body)), revision });
  } catch (error) {
    ask.settle({ t: "failed", failure: failureOf(error) });
  }
}

function failureOf(error: unknown): ReadFailure {
  return { code: internal, message: error instanceof Error ? error.message : String(error) };
}
