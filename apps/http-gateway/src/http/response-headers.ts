import type { Metadata } from "../upstream/upstream.ts";

/** Headers of the one answer of a call that went well, but for the framing of its body: name, value, name, value. */
export function toUnaryHeaders(baseHeaders: readonly string[], metadata: Metadata): string[] {
  return [...baseHeaders, "Content-Type", "application/json", ...toResponseHeaders(metadata)];
}

/** Response metadata `k` becomes the header `Grpc-Metadata-k`, spelled as Go spells headers. */
export function toResponseHeaders(metadata: Metadata): string[] {
  // All that etcd ever sends.
  if (metadata.length === 2 && metadata[0] === "content-type" && metadata[1] === "application/grpc") {
    return ["Grpc-Metadata-Content-Type", "application/grpc"];
  }
  const headers: string[] = [];
  for (let i = 0; i < metadata.length; i += 2) {
    const name = (metadata[i] ?? "").replace(/(^|-)([a-z])/g, (found) => found.toUpperCase());
    headers.push(`Grpc-Metadata-${name}`, metadata[i + 1] ?? "");
  }
  return headers;
}
