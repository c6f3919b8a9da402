import type { Chance } from "./model-etcd.ts";

/** mulberry32: small, and the same on every machine. */
export function seeded(seed: number): Chance {
  let state = seed >>> 0;
  return {
    int(below) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
    },
  };
}
