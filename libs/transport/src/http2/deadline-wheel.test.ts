import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DeadlineWheel, type Expirable } from "./deadline-wheel.ts";

describe("DeadlineWheel", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function due(afterMs: number, onDeadline: () => void): Expirable {
    return {
      deadlineAt: performance.now() + afterMs,
      previousDue: undefined,
      nextDue: undefined,
      onDeadline,
    };
  }
  const item = (afterMs: number, log: number[]): Expirable => due(afterMs, () => log.push(afterMs));

  it("fires each deadline once, in order, never early and at most one slot late", () => {
    const wheel = new DeadlineWheel();
    const fired: { due: number; at: number }[] = [];
    for (const ms of [5, 1, 8000, 9000, 8192, 16_384, 17_000, 60_000, 100, 100.5, 0, 8191.9]) {
      const deadlineAt = performance.now() + ms;
      wheel.add(due(ms, () => fired.push({ due: deadlineAt, at: performance.now() })));
    }
    vi.advanceTimersByTime(61_000);
    expect(fired).toHaveLength(12);
    for (const { due, at } of fired) {
      expect(at).toBeGreaterThanOrEqual(due);
      expect(at - due).toBeLessThanOrEqual(17);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  it("forgets what was deleted, and sleeps when nothing is left", () => {
    const wheel = new DeadlineWheel();
    const log: number[] = [];
    const first = item(50, log);
    const second = item(70, log);
    wheel.add(first);
    wheel.add(second);
    wheel.delete(first);
    wheel.delete(first);
    vi.advanceTimersByTime(100);
    expect(log).toEqual([70]);
    wheel.delete(second);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("wakes earlier for a deadline that comes in before the others", () => {
    const wheel = new DeadlineWheel();
    const log: number[] = [];
    wheel.add(item(30_000, log));
    vi.advanceTimersByTime(1000);
    wheel.add(item(10, log));
    vi.advanceTimersByTime(30);
    expect(log).toEqual([10]);
    vi.advanceTimersByTime(30_000);
    expect(log).toEqual([10, 30_000]);
  });

  it.each([0, 7, 8, 20, 9000])("fires at once what was due %i ms ago", (agoMs) => {
    const alone = new DeadlineWheel();
    const log: number[] = [];
    vi.advanceTimersByTime(10_000);
    alone.add(item(-agoMs, log));
    vi.advanceTimersByTime(17);
    expect(log).toEqual([-agoMs]);

    const turning = new DeadlineWheel();
    turning.add(item(16, log));
    turning.add(item(60_000, log));
    vi.advanceTimersByTime(33);
    turning.add(item(-agoMs, log));
    vi.advanceTimersByTime(17);
    expect(log).toEqual([-agoMs, 16, -agoMs]);
  });

  it("takes new deadlines from inside a deadline", () => {
    const wheel = new DeadlineWheel();
    const log: number[] = [];
    wheel.add(
      due(10, () => {
        log.push(1);
        wheel.add(item(0, log));
      }),
    );
    vi.advanceTimersByTime(60);
    expect(log).toEqual([1, 0]);
  });
});
