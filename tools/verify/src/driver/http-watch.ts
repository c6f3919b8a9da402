import type { ClientRequest, IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { create, type JsonObject, toJson, WatchRequestSchema } from "@etcd-edge/proto";
import { spanOf } from "./convert.ts";
import { EventReader, toResponse } from "./event-reader.ts";
import { answerOf, type HttpClient, toCallError, toLost } from "./http-client.ts";
import type { WatchMessageInit, WatchOpener, WatchWire, WireListener } from "./watch-wire.ts";

type CreateRequest = Extract<WatchMessageInit["requestUnion"], { case?: "createRequest" }>["value"];

const permissionDenied = 7;

/** Watches as lines of JSON: `POST /v3/watch`, whose body stays open, so that more can be asked for. */
export function linesOver(client: HttpClient): WatchOpener {
  return {
    ...openerOf(client),
    via: "lines",
    openWatch: async (listener) => {
      await client.authenticate();
      const sent = client.begin({
        method: "POST",
        path: "/v3/watch",
        headers: { "content-type": "application/json" },
      });
      sent.flushHeaders();
      const wire = new HttpWire(sent, listener, (line) => takeLine(line, listener));
      return wire.sending((request) => sent.write(`${toLine(request)}\n`));
    },
  };
}

/**
 * Watches as Server-Sent Events: `GET /v3/watch`, one watch each. What an EventSource is told by ids and bookmarks is put in the
 * words of gRPC: the first bookmark is `created`, an id that says more than its events is progress.
 */
export function eventsOver(client: HttpClient): WatchOpener {
  return {
    ...openerOf(client),
    via: "events",
    openWatch: async (listener) => {
      await client.authenticate();
      let wire: HttpWire | undefined;
      const open = (asked: CreateRequest): void => {
        const { path, headers } = toEventRequest(asked);
        const sent = client.begin({ method: "GET", path, headers });
        sent.end();
        const events = new EventReader(listener, BigInt(asked?.startRevision ?? 0));
        wire = new HttpWire(sent, listener, (line) => events.take(line));
      };
      return {
        write: ({ requestUnion }) => {
          if (requestUnion?.case === "createRequest") open(requestUnion.value);
        },
        pause: () => wire?.pause(),
        resume: () => wire?.resume(),
        cancel: () => wire?.cancel(),
      };
    },
  };
}

/** What every kind of watch over HTTP has of its client. */
export function openerOf(
  client: HttpClient,
): Pick<WatchOpener, "limitedUser" | "forgetToken" | "noteFailure"> {
  return {
    limitedUser: client.limitedUser,
    forgetToken: () => client.forgetToken(),
    noteFailure: (error) => client.noteFailure(error),
  };
}

/** A request in the JSON of protobuf. */
export function toLine(request: WatchMessageInit): string {
  return JSON.stringify(toJson(WatchRequestSchema, create(WatchRequestSchema, request)));
}

/** Tells what a line of a stream says. @throws HttpCallError which ended it, in the line's own words */
export function takeLine(line: string, listener: Pick<WireListener, "onMessage">): void {
  if (line === "") return;
  const { result, error } = JSON.parse(line) as { result?: JsonObject; error?: JsonObject };
  if (error !== undefined) throw toCallError(200, JSON.stringify(error));
  if (result !== undefined) listener.onMessage(toResponse(result));
}

/** The answer of a request that does not end, line by line. */
class HttpWire {
  readonly #sent: ClientRequest;
  readonly #listener: WireListener;
  #answer: IncomingMessage | undefined;
  #isPaused = false;
  #isOver = false;

  constructor(sent: ClientRequest, listener: WireListener, onLine: (line: string) => void) {
    this.#sent = sent;
    this.#listener = listener;
    this.#read(onLine).then(
      () => this.#end(undefined),
      (error: unknown) => this.#end(error),
    );
    // Behind the answer: what is written then goes nowhere.
    sent.on("error", (error) => this.#end(error));
  }

  sending(write: WatchWire["write"]): WatchWire {
    return {
      write: (request) => {
        if (!this.#isOver) write(request);
      },
      pause: () => this.pause(),
      resume: () => this.resume(),
      cancel: () => this.cancel(),
    };
  }

  pause(): void {
    this.#isPaused = true;
    this.#answer?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#answer?.resume();
  }

  cancel(): void {
    this.#isOver = true;
    this.#sent.destroy();
  }

  async #read(onLine: (line: string) => void): Promise<void> {
    const answer = await answerOf(this.#sent);
    this.#answer = answer;
    if (answer.statusCode !== 200) {
      const error = toCallError(answer.statusCode, await text(answer));
      // As a stream says it: the watch was created, and cancelled at once.
      if (error.code !== permissionDenied) throw error;
      const canceled = { created: true, canceled: true, cancel_reason: error.details };
      this.#listener.onMessage(toResponse(canceled));
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const lines = createInterface({ input: answer, crlfDelay: Number.POSITIVE_INFINITY });
    lines.on("line", (line) => {
      if (this.#isOver) return;
      try {
        onLine(line);
      } catch (error) {
        reject(error);
      }
    });
    // It says the same of the answer as the answer does.
    lines.on("error", () => {});
    answer.on("error", reject);
    answer.on("close", resolve);
    if (this.#isPaused) answer.pause();
    await promise;
  }

  #end(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (error === undefined) this.#listener.onEnd();
    else this.#listener.onError(toLost(error));
    this.#sent.destroy();
  }
}

/** A start in the past is one behind what was seen: as an EventSource comes again. */
function toEventRequest(asked: CreateRequest): { path: string; headers: Record<string, string> } {
  const { key, end } = spanOf(asked);
  const query = new URLSearchParams();
  query.append(end === undefined ? "key" : "prefix", key);
  if (asked?.prevKv === true) query.append("prev_kv", "true");
  for (const filter of asked?.filters ?? []) query.append("filters", filter === 0 ? "NOPUT" : "NODELETE");
  const start = BigInt(asked?.startRevision ?? 0);
  const headers: Record<string, string> = { accept: "text/event-stream" };
  if (start > 0n) headers["last-event-id"] = String(start - 1n);
  return { path: `/v3/watch?${query}`, headers };
}
