import {
  type Event,
  Event_EventType,
  type MessageInitShape,
  type WatchCreateRequestSchema,
  type WatchRequestSchema,
  type WatchResponse,
} from "@etcd-edge/proto";
import { expect } from "vitest";
import type { Context } from "../../src/context.ts";
import type { CallOptions } from "../../src/etcd-client.ts";
import type { MessageStream } from "../../src/message-stream.ts";
import { watch } from "../../src/methods.ts";

type Create = MessageInitShape<typeof WatchCreateRequestSchema>;

/** One watch stream, spoken to in etcd's messages. Every answer that carries events is checked as it is read. */
export class WatchSession implements Disposable {
  readonly stream: MessageStream<MessageInitShape<typeof WatchRequestSchema>, WatchResponse>;
  /** By watch: the last revision told, and whether more of it is to come. */
  readonly #told = new Map<bigint, { readonly revision: bigint; readonly isOpen: boolean }>();

  constructor(context: Context, options: CallOptions = {}) {
    this.stream = context.etcd.stream(watch.watch, options);
  }

  /** Asks for a watch, without waiting. */
  create(value: Create): void {
    this.stream.send({ requestUnion: { case: "createRequest", value } });
  }

  /** Opens a watch; the answer to it must be what is read next. */
  async created(value: Create): Promise<WatchResponse> {
    this.create(value);
    const answer = await this.next();
    expect(answer).toMatchObject({
      created: true,
      canceled: false,
      compactRevision: 0n,
      cancelReason: "",
      fragment: false,
      events: [],
    });
    expect(answer.header?.clusterId).not.toBe(0n);
    expect(answer.header?.memberId).not.toBe(0n);
    return answer;
  }

  cancel(watchId: bigint): void {
    this.stream.send({ requestUnion: { case: "cancelRequest", value: { watchId } } });
  }

  askProgress(): void {
    this.stream.send({ requestUnion: { case: "progressRequest", value: {} } });
  }

  async next(): Promise<WatchResponse> {
    const answer = await this.stream.next();
    if (answer.events.length > 0) this.#check(answer);
    return answer;
  }

  /** Reads one answer, which must carry events of this watch. */
  async nextEvents(watchId = 0n): Promise<WatchResponse> {
    const answer = await this.nextEventsOfAny();
    expect(answer.watchId).toBe(watchId);
    return answer;
  }

  /** Reads one answer, which must carry events. */
  async nextEventsOfAny(): Promise<WatchResponse> {
    const answer = await this.next();
    expect(answer).toMatchObject({ created: false, canceled: false });
    expect(answer.events.length, "an answer without events").toBeGreaterThan(0);
    return answer;
  }

  /** Reads events of one watch until there are so many; no more may come with the last of them. */
  async events(count: number, watchId = 0n): Promise<readonly Event[]> {
    const events: Event[] = [];
    while (events.length < count) events.push(...(await this.nextEvents(watchId)).events);
    expect(events).toHaveLength(count);
    return events;
  }

  [Symbol.dispose](): void {
    this.stream[Symbol.dispose]();
  }

  /** What holds for every answer with events: a whole revision each, in order, none twice. */
  #check(answer: WatchResponse): void {
    const revisions = answer.events.map((event) => event.kv?.modRevision ?? 0n);
    expect(revisions).toEqual(revisions.toSorted((a, b) => Number(a - b)));
    const told = this.#told.get(answer.watchId);
    if (told?.isOpen !== true) {
      expect(revisions[0], "a revision in two answers").toBeGreaterThan(told?.revision ?? 0n);
    }
    const revision = revisions.at(-1) ?? 0n;
    this.#told.set(answer.watchId, { revision, isOpen: answer.fragment });
    expect(answer.header?.revision).toBeGreaterThanOrEqual(revision);
    expect(answer.header?.clusterId).not.toBe(0n);
    expect(answer.header?.memberId).not.toBe(0n);
  }
}

/** `PUT a=1`, `DELETE a`: events as a person would write them. */
export function shorten(context: Context, events: readonly Event[]): string[] {
  const text = new TextDecoder();
  return events.map(({ type, kv }) => {
    const name = context.nameOf(kv?.key ?? new Uint8Array());
    return type === Event_EventType.PUT ? `PUT ${name}=${text.decode(kv?.value)}` : `DELETE ${name}`;
  });
}

/** The end of the range of all keys that begin with this one. */
function prefixEnd(prefix: Uint8Array): Uint8Array {
  const end = Uint8Array.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}

/** Range of everything under a name of this test. */
export function prefixOf(context: Context, name: string): { key: Uint8Array; rangeEnd: Uint8Array } {
  const key = context.key(name);
  return { key, rangeEnd: prefixEnd(key) };
}
