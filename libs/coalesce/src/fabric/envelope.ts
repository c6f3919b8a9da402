import {
  create,
  type Envelope,
  EnvelopeSchema,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@etcd-edge/proto";
import { isEpochName } from "../epoch/epoch-codec.ts";
import type { EpochTag } from "../epoch/epoch-record.ts";

/** Of the messages between replicas. Others are ignored, so that two releases can share a bus (rule 37). */
const formatVersion = 1;

/** A message, without what is the same for all. */
export type Body = NonNullable<MessageInitShape<typeof EnvelopeSchema>["body"]>;

/** Who says something, of which history. */
export interface Sender {
  readonly replica: string;
  readonly clusterId: bigint;
  readonly epoch: EpochTag;
}

export function encodeEnvelope({ replica, clusterId, epoch }: Sender, body: Body): Uint8Array {
  return toBinary(
    EnvelopeSchema,
    create(EnvelopeSchema, { version: formatVersion, replica, clusterId, epoch, body }),
  );
}

/** What became of bytes that came from outside. */
export type Reading =
  | { readonly t: "message"; readonly sender: Sender; readonly body: Envelope["body"] }
  /** No message of this format. */
  | { readonly t: "malformed" }
  /** Of a format that this release does not know. */
  | { readonly t: "version" };

/** Reads what came from outside. Never throws. */
export function readEnvelope(bytes: Uint8Array): Reading {
  let envelope: Envelope;
  try {
    // A copy: events are kept, and a view would keep the whole chunk that was read.
    envelope = fromBinary(EnvelopeSchema, new Uint8Array(bytes));
  } catch {
    return { t: "malformed" };
  }
  const { version, replica, clusterId, epoch, body } = envelope;
  if (version !== formatVersion) return { t: version === 0 ? "malformed" : "version" };
  const isNamed = isEpochName(replica) && (epoch === undefined || epoch.id === "" || isEpochName(epoch.id));
  if (!isNamed || body.case === undefined) return { t: "malformed" };
  const tag = { id: epoch?.id ?? "", number: epoch?.number ?? 0n };
  return { t: "message", sender: { replica, clusterId, epoch: tag }, body };
}
