import { fromJson, type JsonObject, type WatchResponse, WatchResponseSchema } from "@etcd-edge/proto";
import type { WireListener } from "./watch-wire.ts";

/** Reads an event stream (WHATWG HTML, "Server-sent events") with one watch in it. */
export class EventReader {
  readonly #listener: Pick<WireListener, "onMessage">;
  readonly #startRevision: bigint;
  #name = "";
  #id = "";
  #data = "";
  #wasCreated = false;

  constructor(listener: Pick<WireListener, "onMessage">, startRevision: bigint) {
    this.#listener = listener;
    this.#startRevision = startRevision;
  }

  take(line: string): void {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(":");
    const value = line.slice(colon + 1).replace(/^ /, "");
    switch (line.slice(0, colon)) {
      case "event":
        this.#name = value;
        break;
      case "id":
        this.#id = value;
        break;
      case "data":
        this.#data += value;
        break;
      default: // a comment, or when to come again
    }
  }

  #dispatch(): void {
    const { name, data } = { name: this.#name, data: this.#data };
    this.#name = "";
    this.#data = "";
    if (data === "") return;
    const position = BigInt(this.#id === "" ? "0" : this.#id);
    if (name === "bookmark") {
      this.#onBookmark(position);
      return;
    }
    const response = toResponse(JSON.parse(data) as JsonObject);
    if (name === "canceled" && this.#wasCreated) response.created = false;
    this.#listener.onMessage(response);
    const said = response.header?.revision ?? 0n;
    if (name !== "canceled" && position > said) this.#onBookmark(position);
  }

  #onBookmark(position: bigint): void {
    const revision = String(position);
    if (this.#wasCreated) {
      this.#listener.onMessage(toResponse({ header: { revision } }));
      return;
    }
    this.#wasCreated = true;
    // What is asked for by revision may be in the future: its position says nothing of the store.
    const header = this.#startRevision === 0n ? { revision } : {};
    this.#listener.onMessage(toResponse({ created: true, header }));
  }
}

/** A message in the JSON of either of etcd's dialects. */
export function toResponse(json: JsonObject): WatchResponse {
  return fromJson(WatchResponseSchema, json, { ignoreUnknownFields: true });
}
