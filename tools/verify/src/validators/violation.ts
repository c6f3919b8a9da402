/** The promises that a history is held to, by the name that reports use. */
export const promises = [
  "linearizable",
  "revision order",
  "serializable order",
  "acknowledged",
  "ordered",
  "unique",
  "atomic",
  "reliable",
  "resumable",
  "bookmarkable",
  "filtered",
  "previous value",
  "creation",
  "true",
  "headers",
  "cancels",
  "convergence",
  "lease bounds",
  "permitted",
  "one history",
] as const;

export type PromiseName = (typeof promises)[number];

/** One promise broken, with what shows it. */
export interface Violation {
  readonly promise: PromiseName;
  /** One sentence. */
  readonly text: string;
  /** The least that shows it, one line each, in order of time. */
  readonly evidence: readonly string[];
  /** Where in the run, in milliseconds, and on whose lanes: what a picture of it shows. */
  readonly operations?: readonly number[];
  readonly watches?: readonly number[];
  readonly at?: number;
}
