/**
 * Durations in Go's notation (`1m0s`, `300ms`, `1h15m30.918s`), held as a number of milliseconds.
 * The texts of the errors are those of Go's `time.ParseDuration`: people grep for them.
 */

const nanosPerUnit: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n, // U+00B5, the micro sign
  μs: 1_000n, // U+03BC, the Greek letter
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const nanosPerMs = 1_000_000n;
const maxNanos = (1n << 63n) - 1n;

/**
 * Reads a Go duration.
 * @returns milliseconds, with fractions for what is shorter
 * @throws Error with the sentence of Go's `time.ParseDuration`
 */
export function parseGoDuration(text: string): number {
  const invalid = (): Error => new Error(`time: invalid duration ${JSON.stringify(text)}`);
  const negative = text.startsWith("-");
  let rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  if (rest === "") throw invalid();
  let nanos = 0n;
  while (rest !== "") {
    const number = /^(\d*)(?:\.(\d*))?/.exec(rest);
    const whole = number?.[1] ?? "";
    const fraction = number?.[2] ?? "";
    if (whole === "" && fraction === "") throw invalid();
    rest = rest.slice(number?.[0].length);
    const unit = /^[^\d.]+/.exec(rest)?.[0];
    if (unit === undefined) throw new Error(`time: missing unit in duration ${JSON.stringify(text)}`);
    const scale = nanosPerUnit[unit];
    if (scale === undefined) {
      throw new Error(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    }
    rest = rest.slice(unit.length);
    nanos += BigInt(whole === "" ? "0" : whole) * scale;
    if (fraction !== "") nanos += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
    if (nanos > maxNanos) throw invalid();
  }
  return (negative ? -1 : 1) * (Number(nanos / nanosPerMs) + Number(nanos % nanosPerMs) / 1e6);
}

/** Writes milliseconds as Go's `Duration.String` does: `60000` is `1m0s`, `1500` is `1.5s`, `0` is `0s`. */
export function formatGoDuration(ms: number): string {
  const magnitude = Math.abs(ms);
  const wholeMs = Math.trunc(magnitude);
  // Apart, because a product of the two would leave the 53 bits of a number.
  const nanos = BigInt(wholeMs) * nanosPerMs + BigInt(Math.round((magnitude - wholeMs) * 1e6));
  if (nanos === 0n) return "0s";
  const sign = ms < 0 ? "-" : "";
  if (nanos < 1_000n) return `${sign}${nanos}ns`;
  if (nanos < 1_000_000n) return `${sign}${withFraction(nanos, 1_000n)}µs`;
  if (nanos < 1_000_000_000n) return `${sign}${withFraction(nanos, 1_000_000n)}ms`;
  const minute = 60_000_000_000n;
  const seconds = `${withFraction(nanos % minute, 1_000_000_000n)}s`;
  const minutes = nanos / minute;
  if (minutes === 0n) return sign + seconds;
  if (minutes < 60n) return `${sign}${minutes}m${seconds}`;
  return `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

function withFraction(nanos: bigint, unit: bigint): string {
  const digits = unit.toString().length - 1;
  const fraction = (nanos % unit).toString().padStart(digits, "0").replace(/0+$/, "");
  return fraction === "" ? `${nanos / unit}` : `${nanos / unit}.${fraction}`;
}
