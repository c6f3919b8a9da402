import { expect, it } from "vitest";
import { verdictOf } from "./call-verdict.ts";

const put = { path: "/etcdserverpb.KV/Put", deadlineAt: undefined };
const lock = { path: "/v3lockpb.Lock/Lock", deadlineAt: undefined };

it.each([
  ["an answer", 0, "answered", put, "served"],
  ["a refusal", 7, "answered", put, "served"],
  ["a key that is compacted", 11, "answered", put, "served"],
  ["etcdserver: request timed out", 14, "answered", put, "failed"],
  ["no answer until the deadline", 4, "sent", put, "failed"],
  ["etcd's own deadline", 4, "answered", put, "failed"],
  ["a connection that was lost", 14, "sent", put, "nothing"],
  ["a connection that never was", 14, "notSent", put, "nothing"],
  ["a deadline that passed while waiting for one", 4, "notSent", put, "nothing"],
  ["a GOAWAY", 14, "refused", put, "nothing"],
  ["a client that left", 1, "sent", put, "nothing"],
  ["a client that left long before its deadline", 1, "sent", { ...put, deadlineAt: 1_101 }, "nothing"],
  ["a client that left at its deadline", 1, "sent", { ...put, deadlineAt: 1_100 }, "failed"],
  ["too much to do", 8, "answered", put, "nothing"],
  ["an answer that could not be taken", 13, "sent", put, "nothing"],
  ["a lock that another client holds", 4, "sent", lock, "nothing"],
  ["a lock that was had", 0, "answered", lock, "nothing"],
] as const)("of %s", (_, code, progress, call, verdict) => {
  expect(verdictOf({ code, progress }, call, 1_000)).toBe(verdict);
});
