import { bodyOfRange } from "@etcd-edge/proto";
import type { ReadResult } from "../read/ports.ts";

/** An answer in two parts, of which the first may be empty: then all of it is in the second. */
export type Answered = ReadResult & { readonly t: "answered" };

/** What is true of its revision for ever: everything but the header. */
export function bodyOfAnswer({ head, body }: Answered): Uint8Array {
  return head.length > 0 ? body : bodyOfRange(body);
}

export function headOfAnswer({ head, body }: Answered): Uint8Array {
  return head.length > 0 ? head : body.subarray(0, body.length - bodyOfRange(body).length);
}

/** The same answer, to be kept. */
export function ownedAnswer({ t, head, body, revision }: Answered): Answered {
  return { t, head: ownedBytes(head), body: ownedBytes(body), revision };
}

/** Bytes that keep nothing much larger alive. */
export function ownedBytes(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > bytes.length * 2 ? new Uint8Array(bytes) : bytes;
}
