import { frameMessage } from "@etcd-edge/transport";

/** The last message that was framed: the next call that sends one mostly sends the same. */
const last: { head: Uint8Array | undefined; body: Uint8Array | undefined; framed: Uint8Array } = {
  head: undefined,
  body: undefined,
  framed: new Uint8Array(0),
};

/** Frames a message of two parts, once for all calls that send these very parts one after the other. */
export function frameOnce(head: Uint8Array, body: Uint8Array): Uint8Array {
  if (last.head === head && last.body === body) return last.framed;
  last.head = head;
  last.body = body;
  last.framed = frameMessage(Buffer.concat([head, body]));
  return last.framed;
}
