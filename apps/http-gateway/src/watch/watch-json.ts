import { WatchResponseSchema } from "@etcd-edge/proto";
import type { BytesStyle } from "../json/json-style.ts";
import { transcode } from "../json/transcode.ts";
import { frameStyles } from "../profile/json-profile.ts";

/**
 * The JSON of watch responses. A response has two parts: the head, which is each watch's own, and the events, which all
 * watches of a range share as the very same bytes. The JSON of those bytes is made once, whoever asks for it, and as long as
 * somebody holds them; that of a whole response once for all who ask for the same one after the other.
 */
export class WatchJson {
  readonly #style: BytesStyle;
  readonly #events = new WeakMap<Uint8Array, string>();
  #last: { readonly head: Uint8Array; readonly body: Uint8Array; readonly text: string } | undefined;

  constructor(style: BytesStyle) {
    this.#style = style;
  }

  /** @param body of the events; empty for a response without */
  textOf(head: Uint8Array, body: Uint8Array): string {
    const last = this.#last;
    if (last !== undefined && last.body === body && isSame(last.head, head)) return last.text;
    const text = this.#join(this.#encode(head), body);
    if (body.length > 0) this.#last = { head, body, text };
    return text;
  }

  /** Events stand behind everything else in the schema, and are all there is in their part. */
  #join(head: string, body: Uint8Array): string {
    if (body.length === 0) return head;
    let events = this.#events.get(body);
    if (events === undefined) {
      events = this.#encode(body);
      this.#events.set(body, events);
    }
    return head === "{}" ? events : `${head.slice(0, -1)},${events.slice(1)}`;
  }

  #encode(bytes: Uint8Array): string {
    return transcode(WatchResponseSchema, bytes, frameStyles[this.#style]);
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && Buffer.compare(a, b) === 0);
}

/** One for each way to write bytes: streams share what they make. */
export const watchJson: Readonly<Record<BytesStyle, WatchJson>> = {
  base64: new WatchJson("base64"),
  utf8: new WatchJson("utf8"),
};
