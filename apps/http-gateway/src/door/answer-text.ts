import type { Rpc } from "@etcd-edge/proto";
import type { JsonStyle } from "../json/json-style.ts";
import { transcode } from "../json/transcode.ts";

/** Longer ones are not kept: nobody knows when the next one comes. */
const maxKeptText = 1 << 20;

/** The JSON that was made last: those whose reads were one get it one after the other, of the very same bytes. */
let last:
  | { readonly rpc: Rpc; readonly bytes: Uint8Array; readonly style: JsonStyle; readonly text: string }
  | undefined;

/** The JSON of an answer. */
export function answerText(rpc: Rpc, bytes: Uint8Array, style: JsonStyle): string {
  if (last?.bytes === bytes && last.style === style && last.rpc === rpc) return last.text;
  const text = transcode(rpc.output, bytes, style);
  last = text.length > maxKeptText ? undefined : { rpc, bytes, style, text };
  return text;
}
