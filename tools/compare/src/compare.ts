import type { EtcdBinary } from "@etcd-edge/testkit";
import { failureText } from "./failure-text.ts";
import type { Finding, Row } from "./row.ts";
import { createSide } from "./side.ts";

/** One row against one version, both sides in one go. */
export interface Comparison {
  readonly row: Row;
  readonly version: string;
  readonly theirs: Finding;
  readonly ours: Finding;
}

/** Whether the comparison is what the table promises: they fail and we pass. */
export function isShown({ theirs, ours }: Comparison): boolean {
  return !theirs.good && ours.good;
}

/** Each side gets an etcd of its own, because some rows spoil it. */
export async function compareRow(row: Row, binary: EtcdBinary): Promise<Comparison> {
  const theirs = await check(row, "etcd", binary);
  const ours = await check(row, "ours", binary);
  return { row, version: binary.version, theirs, ours };
}

async function check(row: Row, kind: "etcd" | "ours", binary: EtcdBinary): Promise<Finding> {
  await using undo = new AsyncDisposableStack();
  try {
    return await row.check(createSide(kind, binary, undo));
  } catch (error) {
    return { good: false, seen: failureText(error) };
  }
}
