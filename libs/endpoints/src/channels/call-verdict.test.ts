import { expect, it } from "vitest";
import { verdictOf } from "./call-verdict.ts";

it.each([
  ["an answer", 0, "answered", "served"],
  ["a refusal", 7, "answered", "served"],
  ["a key that is compacted", 11, "answered", "served"],
  ["etcdserver: request timed out", 14, "answered", "failed"],
  ["no answer until the deadline", 4, "sent", "failed"],
  ["etcd's own deadline", 4, "answered", "failed"],
  ["a connection that was lost", 14, "sent", "nothing"],
  ["a connection that never was", 14, "notSent", "nothing"],
  ["a deadline that passed while waiting for one", 4, "notSent", "nothing"],
  ["a GOAWAY", 14, "refused", "nothing"],
  ["a client that left", 1, "sent", "nothing"],
  ["too much to do", 8, "answered", "nothing"],
  ["an answer that could not be taken", 13, "sent", "nothing"],
] as const)("of %s", (_, code, progress, verdict) => {
  expect(verdictOf({ code, progress })).toBe(verdict);
});
