import { expect, it } from "vitest";
import { ClientPresence } from "./client-presence.ts";

it("tells everybody once that the client has gone, late askers at once, and nobody who stopped listening", () => {
  const presence = new ClientPresence();
  const told: string[] = [];
  presence.onGone(() => told.push("first"));
  const stop = presence.onGone(() => told.push("stopped"));
  stop();
  const { signal } = presence;
  expect([presence.isGone, signal.aborted]).toEqual([false, false]);
  presence.leave();
  presence.leave();
  presence.onGone(() => told.push("late"));
  expect(told).toEqual(["first", "late"]);
  expect([presence.isGone, signal.aborted, presence.signal]).toEqual([true, true, signal]);
});

it("has a signal that is aborted already where it is asked for too late", () => {
  const presence = new ClientPresence();
  presence.leave();
  expect(presence.signal.aborted).toBe(true);
});

it("ends with a signal: one to come, or one that has been", () => {
  const controller = new AbortController();
  const before = ClientPresence.until(controller.signal);
  expect(before.isGone).toBe(false);
  controller.abort();
  expect([before.isGone, ClientPresence.until(controller.signal).isGone]).toEqual([true, true]);
});
