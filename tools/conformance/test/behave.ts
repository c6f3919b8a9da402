import type { Context } from "../src/context.ts";

/** Declares one behaviour of etcd. The name says what a client sees; the check throws where it does not. */
export type Behave = (name: string, check: (context: Context) => Promise<void>) => void;
