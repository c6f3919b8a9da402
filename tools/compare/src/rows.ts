import type { Row } from "./row.ts";
import { leaseRows } from "./rows/leases.ts";
import { requestRows } from "./rows/requests.ts";
import { startingRows } from "./rows/starting.ts";
import { watchRows } from "./rows/watches.ts";

/** Every check, in the order of the failures' numbers. */
export const rows: readonly Row[] = [...requestRows, ...leaseRows, ...startingRows, ...watchRows].toSorted(
  (a, b) => Number.parseInt(a.id, 10) - Number.parseInt(b.id, 10) || a.id.localeCompare(b.id),
);
