import type { Row } from "./row.ts";
import { leaseRows } from "./rows/leases.ts";
import { requestRows } from "./rows/requests.ts";
import { startingRows } from "./rows/starting.ts";

/** Every check, in the order of the failures' numbers. */
export const rows: readonly Row[] = [...requestRows, ...leaseRows, ...startingRows].toSorted(
  (a, b) => Number.parseInt(a.id, 10) - Number.parseInt(b.id, 10) || a.id.localeCompare(b.id),
);
