import { decodeReadTxn, encodeReadTxn } from "@etcd-edge/proto";
import type { Ask } from "./ask.ts";
import type { ReadFailure, ReadScope, UpstreamEnd } from "./ports.ts";
import type { ReadContext } from "./read-context.ts";

const nothing = new Uint8Array(0);
const internal = 13;

/** How a flight ended that brought no answers. */
export type Mishap = Exclude<UpstreamEnd, { t: "answered" }>;

/**
 * Sends distinct reads in one request. Nobody joins any of them from now on: an answer that was on its way when a read
 * began may be older than that read (rule 28).
 * @param onEnd called once unless everybody left before; the answers have been given out then
 */
export function fly<M>(
  context: ReadContext<M>,
  { asks, member, scope, isLone }: { asks: readonly Ask[]; member: M; scope: ReadScope; isLone: boolean },
  onEnd: (mishap: Mishap | undefined) => void,
): void {
  const { members, clock, limits, counts } = context;
  let deadlineMs = 0;
  for (const ask of asks) deadlineMs = Math.max(deadlineMs, ask.latestDeadlineMs());
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
  const cancel = members.send(member, { kind, request, scope, isLone, deadlineMs }, (end) => {
    for (const ask of asks) ask.onAbandoned = undefined;
    if (end.t === "answered") giveOut(context, asks, end.payload);
    onEnd(end.t === "answered" ? undefined : end);
  });
  const onAbandoned = (): void => {
    if (!asks.every((ask) => ask.isAbandoned)) return;
    for (const ask of asks) ask.onAbandoned = undefined;
    cancel();
    onEnd(undefined);
  };
  for (const ask of asks) ask.onAbandoned = onAbandoned;
}

function giveOut<M>(context: ReadContext<M>, asks: readonly Ask[], payload: Uint8Array): void {
  const [first] = asks;
  if (first !== undefined && asks.length === 1) {
    answer(context, first, nothing, payload);
    return;
  }
  let answers: ReturnType<typeof decodeReadTxn>;
  try {
    answers = decodeReadTxn(payload, asks.length);
  } catch (error) {
    for (const ask of asks) ask.settle({ t: "failed", failure: failureOf(error) });
    return;
  }
  for (const [index, ask] of asks.entries())
    answer(context, ask, answers.header, answers.rests[index] ?? nothing);
}

function answer<M>(context: ReadContext<M>, ask: Ask, head: Uint8Array, body: Uint8Array): void {
  context.suspects.noteAnswer(ask.key);
  context.large.note(ask.key, head.length + body.length);
  if (ask.isAbandoned) return;
  if (context.toAnswer === undefined) {
    ask.settle({ t: "answered", head, body });
    return;
  }
  try {
    ask.settle({ t: "answered", head: nothing, body: context.toAnswer(joined(head, body)) });
  } catch (error) {
    ask.settle({ t: "failed", failure: failureOf(error) });
  }
}

function joined(head: Uint8Array, body: Uint8Array): Uint8Array {
  if (head.length === 0) return body;
  const whole = new Uint8Array(head.length + body.length);
  whole.set(head);
  whole.set(body, head.length);
  return whole;
}

function failureOf(error: unknown): ReadFailure {
  return { code: internal, message: error instanceof Error ? error.message : String(error) };
}
