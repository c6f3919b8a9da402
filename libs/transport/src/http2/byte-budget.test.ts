import { describe, expect, it } from "vitest";
import { ByteBudget } from "./byte-budget.ts";

describe("ByteBudget", () => {
  it("is exceeded above its limit, or above that of its parent", () => {
    const all = new ByteBudget(150);
    const first = new ByteBudget(100, all);
    const second = new ByteBudget(100, all);
    first.add(100);
    expect([first.isExceeded, second.isExceeded]).toEqual([false, false]);
    first.add(1);
    expect([first.isExceeded, second.isExceeded]).toEqual([true, false]);
    second.add(50);
    expect([first.isExceeded, second.isExceeded, all.used]).toEqual([true, true, 151]);
    first.remove(101);
    expect([first.isExceeded, second.isExceeded, all.used]).toEqual([false, false, 50]);
  });
});
