import { setTimeout as delay } from "node:timers/promises";
import type { WatchResponse } from "@etcd-edge/proto";
import type { ChangeEvent } from "../history/stored.ts";
import { toChangeEvent, toRange } from "./convert.ts";
import { EtcdClient, kv, watch } from "./etcd-client.ts";
import type { RoundContext } from "./round-context.ts";

const retryMs = 100;
/** A stream that answers no request for progress in this time is given up: its member may be cut off. */
const silenceMs = 8_000;

/** The run's own view of the store: every change of the prefix, one revision after the other. */
export class ReferenceWatch {
  readonly #context: RoundContext;
  readonly #etcd: EtcdClient;
  /** Everything up to here is known. */
  #head = 0n;
  readonly #waiting = new Set<() => void>();

  constructor(context: RoundContext) {
    this.#context = context;
    this.#etcd = new EtcdClient(context.options.reference);
  }

  /** Finds out where the store is, and watches from there until the round ends. @returns the running watch */
  async start(): Promise<{ readonly done: Promise<void> }> {
    const { recorder } = this.#context;
    for (;;) {
      try {
        const { header } = await this.#etcd.ask(kv.range, { ...toRange({ key: "\0" }), countOnly: true });
        this.#head = header?.revision ?? 0n;
        recorder.beginAt(this.#head);
        return { done: this.#run() };
      } catch (error) {
        if (this.#context.end.aborted) throw error;
        await delay(retryMs);
      }
    }
  }

  /**
   * Resolves when everything up to the revision has been seen; or when the time is over, and then what was not is a gap:
   * nothing is judged by what the reference did not see.
   */
  async reach(revision: bigint, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (this.#head < revision && performance.now() < deadline) {
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#waiting.add(resolve);
        }),
        delay(200),
      ]);
    }
    if (this.#head < revision) this.#context.recorder.gaps.push({ after: this.#head, upto: revision });
  }

  async #run(): Promise<void> {
    const { end } = this.#context;
    while (!end.aborted) {
      await this.#watchOnce().catch((error: unknown) => this.#etcd.noteFailure(error));
      if (!end.aborted) await delay(retryMs);
    }
    this.#etcd[Symbol.dispose]();
  }

  /** One stream, to its end. @throws ServiceError with the end of the stream */
  async #watchOnce(): Promise<void> {
    const { end, space } = this.#context;
    // Watching does not keep a token alive.
    this.#etcd.forgetToken();
    const stream = await this.#etcd.open(watch.watch, { hasleader: "true" });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = (): void => void stream.cancel();
    let heardAt = performance.now();
    const pulse = setInterval(() => {
      if (performance.now() - heardAt > silenceMs) stream.cancel();
      else stream.write({ requestUnion: { case: "progressRequest", value: {} } });
    }, 1_000);
    end.addEventListener("abort", stop);
    stream.on("error", reject);
    stream.on("end", resolve);
    stream.on("data", (message: WatchResponse) => {
      heardAt = performance.now();
      if (!this.#take(message)) stream.cancel();
    });
    const value = { ...toRange(space.whole), startRevision: this.#head + 1n, prevKv: false };
    stream.write({ requestUnion: { case: "createRequest", value } });
    try {
      await promise;
    } finally {
      clearInterval(pulse);
      end.removeEventListener("abort", stop);
    }
  }

  /** @returns whether the stream is of further use */
  #take(message: WatchResponse): boolean {
    const { recorder } = this.#context;
    if (message.canceled) {
      if (message.compactRevision > this.#head) {
        recorder.gaps.push({ after: this.#head, upto: message.compactRevision });
        this.#head = message.compactRevision;
      }
      return false;
    }
    const at = recorder.now();
    // Without `fragment` a response has whole revisions; grouped, because it may have several.
    const byRevision = new Map<bigint, ChangeEvent[]>();
    for (const event of message.events) {
      const change = toChangeEvent(event);
      if (change.kv.modRevision <= this.#head) continue;
      const list = byRevision.get(change.kv.modRevision) ?? [];
      list.push(change);
      byRevision.set(change.kv.modRevision, list);
    }
    for (const [revision, events] of byRevision) {
      recorder.changes.push({ at, revision, events });
      recorder.saw(revision);
      this.#head = revision;
    }
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    return true;
  }
}
