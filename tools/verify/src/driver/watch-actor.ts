import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "@etcd-edge/testkit";
import type { KeySpan } from "../history/stored.ts";
import type { WatchRecord, WatchRequest } from "../history/watch-record.ts";
import { firstOwed, spokenUpTo } from "../validators/coverage.ts";
import { EtcdClient } from "./etcd-client.ts";
import { callsOver } from "./grpc-watch.ts";
import { HttpClient } from "./http-client.ts";
import { eventsOver, linesOver } from "./http-watch.ts";
import type { OpenWatch } from "./recorder.ts";
import { httpTargetOf, type RoundContext, type RoundOptions, targetOf } from "./round-context.ts";
import { socketsOver } from "./socket-watch.ts";
import { WatchStream } from "./watch-stream.ts";
import type { WatchOpener } from "./watch-wire.ts";

const createTimeoutMs = 8_000;
const retryMs = 60;
const overHttp = [linesOver, eventsOver, socketsOver] as const;

let streams = 0;

/** What a client wants to go on with on its next stream: a request, and whose successor it is. */
interface Wish {
  readonly request: WatchRequest;
  readonly resumes?: number;
}

/**
 * A client with a stream of watches: opens some, cancels some, asks for progress, sleeps, hangs up, comes back. What it
 * was told it does not ask for again; what it missed it does.
 */
export async function runWatches(context: RoundContext, client: number, random: Random): Promise<void> {
  using doors = new DisposableStack();
  const opener = openerFor(context.options, client, doors);
  let wishes: readonly Wish[] = newWishes(context, opener, random);
  while (!context.end.aborted) {
    const left = await watchOnce(context, client, opener, random, wishes).catch(() => wishes);
    wishes = left.length > 0 ? left : newWishes(context, opener, random);
    if (!context.end.aborted) await delay(retryMs);
  }
}

/** One stream, until it ends or the client has had enough of it. @returns what it wants to go on with */
async function watchOnce(
  context: RoundContext,
  client: number,
  opener: WatchOpener,
  random: Random,
  wishes: readonly Wish[],
): Promise<readonly Wish[]> {
  const { recorder, traffic, end } = context;
  await context.whileHushed();
  // Watching does not keep a token alive: who comes back has another.
  opener.forgetToken();
  const number = streams++;
  using stream = await WatchStream.open(recorder, opener);
  const opened: OpenWatch[] = [];
  for (const { request, resumes } of wishes) {
    const open = recorder.watch(client, number, request, {
      resumes,
      user: opener.limitedUser,
      via: opener.via,
    });
    opened.push(open);
    if (!(await stream.create(open, createTimeoutMs))) break;
  }
  const leavesAt = performance.now() + random.between(500, 6_000);
  const stays = random.chance(40);
  while (!stream.isOver && !end.aborted) {
    await Promise.race([stream.ended, delay(random.between(20, 250))]);
    // After the traffic nobody leaves: all must come to have everything.
    if (traffic.aborted) {
      await Promise.race([stream.ended, untilAborted(end)]);
      break;
    }
    // Nobody sits there for watches that were all refused.
    if (opened.every((open) => !open.isOpen && open.cancelAskedAt === undefined)) break;
    const draw = random.below(100);
    if (draw < 12) stream.askProgress();
    else if (draw < 15 && opened.length > 1) stream.cancel(random.pick(opened));
    else if (draw < 18) await stream.sleep(random.between(50, 900));
    if (!stays && performance.now() > leavesAt) break;
  }
  if (end.aborted) {
    // Not lost: it was there to the end.
    stream.leaveOpen();
    return [];
  }
  const goesOn = stream.isOver || random.chance(60);
  return goesOn ? opened.flatMap((open) => wishToResume(open, client, number) ?? []) : [];
}

/** As etcd's own client: behind the last whole revision it was told, with the same request otherwise. */
function wishToResume(open: OpenWatch, client: number, stream: number): Wish | undefined {
  const isCompacted = open.messages.some((one) => one.t === "canceled" && one.compactRevision > 0n);
  if (isCompacted || open.cancelAskedAt !== undefined) return undefined;
  const record: WatchRecord = { ...open, client, stream, askedAt: 0, isOpenAtEnd: false };
  const first = firstOwed(record);
  if (first === undefined) return { request: open.request }; // never created: asked anew
  const upto = spokenUpTo(record);
  const startRevision = upto + 1n > first ? upto + 1n : first;
  return { request: { ...open.request, startRevision }, resumes: open.id };
}

/** Where there is a door for HTTP clients take turns: lines of JSON there, events, a WebSocket, and calls at the other door. */
function openerFor(options: RoundOptions, client: number, undo: DisposableStack): WatchOpener {
  const http = httpTargetOf(options, client);
  const open = http === undefined ? undefined : overHttp[client % (overHttp.length + 1)];
  if (http === undefined || open === undefined)
    return callsOver(undo.use(new EtcdClient(targetOf(options, client), client)));
  return open(undo.use(new HttpClient(http, client)));
}

function newWishes(context: RoundContext, { via }: WatchOpener, random: Random): readonly Wish[] {
  const isPlain = via === "events";
  const length = isPlain ? 1 : random.between(1, 4);
  return Array.from({ length }, () => ({ request: newRequest(context, isPlain, random) }));
}

function newRequest({ recorder, space }: RoundContext, isPlain: boolean, random: Random): WatchRequest {
  const span: KeySpan = isPlain ? space.plainSpan(random) : space.someSpan(random);
  const filter = random.below(6);
  return {
    span,
    startRevision: someStart(recorder.from, recorder.head, random),
    prevKv: random.chance(40),
    noPut: filter === 0,
    noDelete: filter === 1,
    progressNotify: !isPlain && random.chance(40),
    fragment: !isPlain && random.chance(30),
  };
}

function someStart(from: bigint, head: bigint, random: Random): bigint {
  const span = Number(head - from);
  const draw = random.below(100);
  if (draw < 40 || span < 1) return 0n;
  if (draw < 50) return head + BigInt(random.between(1, 40)); // in the future
  if (draw < 60) return from + 1n; // all there is
  if (draw < 80) return head - BigInt(random.below(Math.min(span, 60)));
  return from + BigInt(random.between(1, span));
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
