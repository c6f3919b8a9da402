import { findEtcdBinaries } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { compareRow, isShown } from "../src/compare.ts";
import { rows } from "../src/rows.ts";

// One fast row; `npm run compare` is the whole table.
const row = rows.find((one) => one.id === "12");

describe.each(await findEtcdBinaries())("beside etcd's own proxy $version", (binary) => {
  it("a keepalive with a half-close behind it is answered by us alone", async () => {
    if (row === undefined) throw new Error("the row is gone");
    const comparison = await compareRow(row, binary);
    expect(isShown(comparison), JSON.stringify([comparison.theirs, comparison.ours])).toBe(true);
  });
});

it("every row has a name of its own", () => {
  expect(new Set(rows.map((one) => one.id)).size).toBe(rows.length);
});
