import { Buffer } from "node:buffer";
import { PREFIX_BYTES } from "./partial-message.ts";

/** Puts the five-byte prefix of gRPC before a message, so that it can be sent to many calls as it is. */
export function frameMessage(payload: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + payload.length);
  framed[0] = 0;
  framed.writeUInt32BE(payload.length, 1);
  framed.set(payload, PREFIX_BYTES);
  return framed;
}
