const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Parses `grpc-timeout` (at most eight digits and a unit) into milliseconds; undefined when it is malformed. */
export function parseTimeout(text: string): number | undefined {
  const last = text.length - 1;
  if (last < 1 || last > 8) return undefined;
  let value = 0;
  for (let i = 0; i < last; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  const unit = UNIT_MS[text.charAt(last)];
  return unit === undefined ? undefined : value * unit;
}

/** Writes the time left as `grpc-timeout`: rounded up, at least 1 ms (rule 43), at most eight digits. */
export function formatTimeout(remainingMs: number): string {
  const ms = Math.max(1, Math.ceil(remainingMs));
  if (ms < 1e8) return `${ms}m`;
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 1e8) return `${seconds}S`;
  return `${Math.min(99_999_999, Math.ceil(seconds / 3600))}H`;
}
