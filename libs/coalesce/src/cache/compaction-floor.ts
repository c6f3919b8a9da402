import { etcdErrors } from "@etcd-edge/proto";
import type { ReadFailure } from "../read/ports.ts";

/** Below which revision etcd keeps nothing, as far as anybody here was told. */
export class CompactionFloor {
  #revision = 0n;

  get revision(): bigint {
    return this.#revision;
  }

  /** etcd's own words for a read below it. */
  get failure(): ReadFailure {
    return etcdErrors.compacted;
  }

  /** A compaction at a revision has succeeded: what is below it is gone. */
  note(revision: bigint): void {
    if (revision > this.#revision) this.#revision = revision;
  }

  /** etcd has refused a read at a revision. */
  noteFailure(revision: bigint, { message }: ReadFailure): void {
    if (message === etcdErrors.compacted.message) this.note(revision + 1n);
  }

  isBelow(revision: bigint): boolean {
    return revision > 0n && revision < this.#revision;
  }

  /** History is another one. */
  forget(): void {
    this.#revision = 0n;
  }
}
