import type { Random } from "../random.ts";

/** What an input made happen, in short: inputs that make something new happen are kept, and varied. */
export type Signature = string;

/** A parser that strangers reach, and what to throw at it. */
export interface FuzzTarget {
  /** Bytes as a peer might send them, more or less. */
  generate(random: Random): Buffer;
  /** Runs one input. @throws where the parser does what it must not */
  run(input: Buffer): Signature;
  /** Pieces that mutation puts in, beside random bytes. */
  readonly pieces?: readonly Buffer[];
}
