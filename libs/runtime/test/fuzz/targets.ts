import type { FuzzTarget, Random } from "@etcd-edge/testkit";
import { formatHostPort, parseListenAddress } from "../../src/host-port.ts";
import { formatGoDuration, parseGoDuration } from "../../src/options/go-duration.ts";
import {
  intKind,
  parseGoBool,
  parseGoInteger,
  parseGoList,
  uint32Kind,
  uintKind,
} from "../../src/options/go-values.ts";

const pieces = [
  "1",
  "h",
  "m",
  "s",
  "ms",
  "µs",
  "ns",
  ".",
  "-",
  "+",
  "0x",
  "_",
  "9".repeat(20),
  ",",
  '"',
  '""',
  "\n",
  ":",
  "[",
  "]",
  "::1",
  "%",
  "true",
  "T",
];

function generate(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random.below(8) }, () => random.pick(pieces)).join(""));
}

/** What came of it: a value, or an Error with a text. @throws what is no Error */
function outcomeOf(read: () => unknown): string {
  try {
    return String(read());
  } catch (error) {
    if (!(error instanceof Error) || error.message === "") throw error;
    return error.name + error.message.replaceAll(/".*"/gs, "…").slice(0, 40);
  }
}

function kindOf(outcome: string): string {
  return outcome.replaceAll(/\d+/g, "#").slice(0, 30);
}

/** Durations as Go writes them: what is read and written is read as the same again. */
const duration: FuzzTarget = {
  generate,
  pieces: pieces.map((one) => Buffer.from(one)),
  run: (input) => {
    const outcome = outcomeOf(() => parseGoDuration(input.toString()));
    const ms = Number(outcome);
    if (!Number.isNaN(ms) && outcome !== "" && parseGoDuration(formatGoDuration(ms)) !== ms) {
      // Below a nanosecond nothing is kept.
      const error = Math.abs(parseGoDuration(formatGoDuration(ms)) - ms);
      if (error > Math.abs(ms) * 1e-9 + 1e-6)
        throw new Error(`${ms} ms comes back as ${formatGoDuration(ms)}`);
    }
    return kindOf(outcome);
  },
};

/** All other values of flags and of the environment. */
const values: FuzzTarget = {
  generate,
  pieces: pieces.map((one) => Buffer.from(one)),
  run: (input) => {
    const text = input.toString();
    const outcomes = [intKind, uintKind, uint32Kind].map((kind) =>
      outcomeOf(() => parseGoInteger(text, kind)),
    );
    outcomes.push(
      outcomeOf(() => parseGoBool(text)),
      outcomeOf(() => parseGoList(text).length),
    );
    outcomes.push(
      outcomeOf(() => {
        const address = parseListenAddress(text, "listen-addr");
        const again = parseListenAddress(formatHostPort(address), "listen-addr");
        if (again.port !== address.port) throw new TypeError("another port");
        return address.port;
      }),
    );
    if (outcomes.some((one) => one.startsWith("TypeError"))) throw new Error(outcomes.join());
    return outcomes.map(kindOf).join("|");
  },
};

export const targets: Readonly<Record<string, FuzzTarget>> = { duration, values };
