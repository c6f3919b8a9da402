import { etcdErrors } from "@etcd-edge/proto";
import type { ReadFailure } from "../read/ports.ts";

/** Below which revision etcd keeps nothing, as far as anybody here was told. */
export class CompactionFloor {
  #told = 0n;
  #others: () => bigint = () => 0n;

  get revision(): bigint {
    const others = this.#others();
    if (others > this.#told) return others;
    return this.#told;
  }

  /** As etcd itself has said here: what others may be told. */
  get told(): bigint {
    return this.#told;
  }

  /** Believes other replicas as well. @param others what they were told of the history that is ours; 0 for nothing */
  follow(others: () => bigint): void {
    this.#others = others;
  }

  /** etcd's own words for a read below it. */
  get failure(): ReadFailure {
    return etcdErrors.compacted;
  }

  /** A compaction at a revision has succeeded: what is below it is gone. */
  note(revision: bigint): void {
    if (revision > this.#told) this.#told = revision;
  }

  /** etcd has refused a read at a revision. */
  noteFailure(revision: bigint, { message }: ReadFailure): void {
    if (message === etcdErrors.compacted.message) this.note(revision + 1n);
  }

  isBelow(revision: bigint): boolean {
    return revision > 0n && revision < this.revision;
  }

  /** History is another one. */
  forget(): void {
    this.#told = 0n;
  }
}
