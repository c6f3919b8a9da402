import type { DescMessage, Message } from "@bufbuild/protobuf";
import { decodeV1 } from "../json/decode-v1.ts";
import { decodeV2 } from "../json/decode-v2.ts";
import { quoteJson, quoteJsonForHtml } from "../json/go-quote.ts";
import type { JsonDocument } from "../json/json-node.ts";
import type { BytesStyle, JsonStyle } from "../json/json-style.ts";

/** Keys of an error body, in their order. */
export type ErrorShape = "error-message-code" | "error-code-message" | "code-message";

/** How etcd's JSON door speaks in one build. Two generations, and two properties in which builds of the first differ. */
export interface JsonProfile {
  /** v1: grpc-gateway 1 with jsonpb (etcd 3.4, 3.5). v2: grpc-gateway 2 with protojson (etcd 3.6 and later). */
  readonly generation: "v1" | "v2";
  readonly errorShape: ErrorShape;
  /** 412 from grpc-gateway 1.6 and before (Debian's 3.4.23), 400 from all later ones. */
  readonly failedPreconditionStatus: 400 | 412;
}

/** etcd 3.4.24 to 3.5 as released upstream: what `--json-profile v1` means. */
export const profileV1: JsonProfile = {
  generation: "v1",
  errorShape: "error-code-message",
  failedPreconditionStatus: 400,
};

/** etcd 3.4.0 to 3.4.22 as released upstream. */
export const profileV1Early: JsonProfile = { ...profileV1, errorShape: "error-message-code" };

/** etcd 3.6 and later: what `--json-profile v2` means. */
export const profileV2: JsonProfile = {
  generation: "v2",
  errorShape: "code-message",
  failedPreconditionStatus: 400,
};

/** @throws JsonInputError with the profile's text */
export function decodeInput(
  profile: JsonProfile,
  desc: DescMessage,
  document: JsonDocument,
  bytes: BytesStyle,
): Message {
  if (profile.generation === "v2") return decodeV2(desc, document, bytes);
  const wording = profile.errorShape === "error-message-code" ? "plain" : "quoted";
  return decodeV1(desc, document, { wording, bytes });
}

/** How the answer of a unary call is written. */
export function unaryStyle(profile: JsonProfile, bytes: BytesStyle): JsonStyle {
  return profile.generation === "v2" ? unaryV2[bytes] : frameStyles[bytes];
}

/** How frames are written: the second generation writes them again with Go's `encoding/json`. */
export const frameStyles: Readonly<Record<BytesStyle, JsonStyle>> = {
  base64: { quote: quoteJsonForHtml, bytes: "base64" },
  utf8: { quote: quoteJsonForHtml, bytes: "utf8" },
};

const unaryV2: Readonly<Record<BytesStyle, JsonStyle>> = {
  base64: { quote: quoteJson, bytes: "base64" },
  utf8: { quote: quoteJson, bytes: "utf8" },
};
