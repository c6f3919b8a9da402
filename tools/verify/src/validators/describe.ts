import type { Action, Answer, Operation, SimpleAction, SimpleAnswer } from "../history/operation.ts";
import type { Need, RightRecord } from "../history/rights.ts";
import { type ChangeEvent, describeSpan, type Stored } from "../history/stored.ts";
import type { WatchMessage, WatchRecord } from "../history/watch-record.ts";
import type { KvOperation } from "../linearizability/kv-model.ts";

/** `k=v@7 (created 5, version 2)` */
export function describeStored(kv: Stored | undefined): string {
  if (kv === undefined) return "nothing";
  return `${kv.key}=${kv.value}@${kv.modRevision} (created ${kv.createRevision}, version ${kv.version})`;
}

export function describeEvent({ kind, kv }: ChangeEvent): string {
  return kind === "put"
    ? `PUT ${kv.key}=${kv.value}@${kv.modRevision}`
    : `DELETE ${kv.key}@${kv.modRevision}`;
}

function describeAction(action: Action): string {
  if (action.t !== "txn") return describeStep(action);
  const compares = action.compares.map((one) => `${one.target}(${one.key})=${one.equals}`).join(" and ");
  const list = (steps: readonly SimpleAction[]): string => steps.map(describeStep).join("; ") || "nothing";
  return `txn if ${compares || "true"} then ${list(action.success)} else ${list(action.failure)}`;
}

function describeStep(step: SimpleAction): string {
  switch (step.t) {
    case "put":
      return `put ${step.key}=${step.value}`;
    case "delete":
      return `delete ${describeSpan(step.span)}`;
    case "range":
      return `${step.serializable ? "serializable " : ""}get ${describeSpan(step.span)}${step.at === undefined ? "" : ` at ${step.at}`}`;
    default:
      return step satisfies never;
  }
}

function describeAnswer(answer: Answer): string {
  if (answer.t !== "txn") return describeOne(answer);
  return `${answer.succeeded ? "then" : "else"}: ${answer.answers.map(describeOne).join("; ")}`;
}

function describeOne(answer: SimpleAnswer): string {
  switch (answer.t) {
    case "put":
      return "done";
    case "delete":
      return `${answer.deleted} deleted`;
    case "range":
      return answer.kvs.map((kv) => `${kv.key}=${kv.value}@${kv.modRevision}`).join(" ") || "nothing";
    default:
      return answer satisfies never;
  }
}

export function describeOperation(operation: Operation): string {
  const { outcome } = operation;
  const end =
    outcome.t === "answered"
      ? `${describeAnswer(outcome.answer)}, revision ${outcome.revision}`
      : `${outcome.t}: ${outcome.reason}`;
  const time = `${operation.invokedAt.toFixed(1)}–${operation.returnedAt.toFixed(1)} ms`;
  return `client ${operation.client}, ${time}: ${describeAction(operation.action)} → ${end}`;
}

/** `read [a, b)` */
export function describeNeed({ access, span }: Need): string {
  return `${access} ${describeSpan(span)}`;
}

export function describeRight(right: RightRecord): string {
  const span = (asked: number, answered: number | undefined): string =>
    `${asked.toFixed(0)}–${answered?.toFixed(0) ?? "?"} ms`;
  const end =
    right.revokeAskedAt === undefined
      ? "and not taken"
      : `and taken ${span(right.revokeAskedAt, right.revokeAnsweredAt)}`;
  return `${right.user} may ${describeNeed(right)}: given ${span(right.grantAskedAt, right.grantAnsweredAt)} ${end}`;
}

/** A call of the search that is none of a client's. */
export function describeKvOperation(operation: KvOperation): string {
  switch (operation.t) {
    case "effect":
      return `seen at revision ${operation.revision}: ${operation.events.map(describeEvent).join("; ")}`;
    case "answered":
      return `${describeAction(operation.action)} → ${describeAnswer(operation.answer)}, revision ${operation.revision}`;
    case "unknown":
      return `${describeAction(operation.action)} → no answer`;
    default:
      return operation satisfies never;
  }
}

export function describeWatch({ id, client, stream, request, resumes, via }: WatchRecord): string {
  const options = [
    request.prevKv && "prev_kv",
    request.noPut && "no puts",
    request.noDelete && "no deletes",
    request.progressNotify && "progress",
    request.fragment && "fragment",
    resumes !== undefined && `goes on from watch ${resumes}`,
  ].filter((one) => one !== false);
  const text = `watch ${id} of client ${client} on stream ${stream}${via === undefined || via === "grpc" ? "" : ` (${via})`}: ${describeSpan(request.span)} from ${request.startRevision}`;
  return options.length === 0 ? text : `${text} (${options.join(", ")})`;
}

/** How many events of a response are shown, half of them from its end. */
const shownEvents = 6;

function describeEvents(events: readonly ChangeEvent[]): string {
  if (events.length <= shownEvents) return events.map(describeEvent).join("; ");
  const half = shownEvents / 2;
  const [first, last] = [events.slice(0, half), events.slice(-half)];
  const left = events.length - shownEvents;
  return [...first.map(describeEvent), `… ${left} more …`, ...last.map(describeEvent)].join("; ");
}

export function describeMessage(message: WatchMessage): string {
  const at = `${message.at.toFixed(1)} ms:`;
  switch (message.t) {
    case "created":
      return `${at} created, header ${message.revision}`;
    case "events":
      return `${at} ${describeEvents(message.events)}, header ${message.revision}${message.isFragment ? ", more to come" : ""}`;
    case "progress":
      return `${at} progress ${message.revision}${message.isForStream ? " for the stream" : ""}`;
    case "canceled":
      return `${at} canceled, header ${message.revision}, compact revision ${message.compactRevision} ${JSON.stringify(message.reason)}`;
    case "lost":
      return `${at} stream lost: ${message.reason}`;
    default:
      return message satisfies never;
  }
}
