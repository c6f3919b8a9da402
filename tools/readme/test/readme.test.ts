import { expect, it } from "vitest";
import { apps, refreshFlagTable } from "../src/flag-table.ts";

it.each(apps)(
  "the README of %s has the flags that the program has (npm run readme writes them)",
  async (app) => {
    const { before, after } = await refreshFlagTable(app);
    expect(before).toBe(after);
    expect(after).toContain("`--listen-addr`");
  },
);
