import type { Outcome, RawMetadata } from "@etcd-edge/transport";
import { type Metadata, UpstreamError } from "./upstream.ts";

/** A call that did not end well, as the door tells it on. */
export function toUpstreamError(outcome: Outcome): UpstreamError {
  const { code, message, progress } = outcome;
  return new UpstreamError({ status: code, message, origin: progress === "answered" ? "server" : "local" });
}

const contentType: Metadata = ["content-type", "application/grpc"];

/** Response headers with the content type, which the channel has checked and taken off. */
export function withContentType(metadata: RawMetadata): Metadata {
  return metadata.length === 0 ? contentType : [...contentType, ...metadata];
}
