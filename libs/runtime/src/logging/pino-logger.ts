import { performance } from "node:perf_hooks";
import { destination, type Logger as PinoLogger, pino } from "pino";
import type { LogFields, Logger, LogLevel } from "./logger.ts";

/** Where the lines go. pino's own stream type in its least form. */
export interface LogStream {
  write(line: string): void;
}

/**
 * A logger that writes etcd's shape, one JSON object a line: `level` as a word, `ts` in RFC 3339 with microseconds,
 * `msg`, then the fields. Writes synchronously to standard error unless given a stream, so that the last line before
 * an exit is never lost.
 */
export function createLogger(options: { level: LogLevel; stream?: LogStream }): Logger {
  const sink = pino(
    {
      level: options.level,
      base: null,
      messageKey: "msg",
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"ts":"${formatTimestamp(performance.timeOrigin + performance.now())}"`,
    },
    options.stream ?? destination({ fd: 2, sync: true }),
  );
  return wrap(sink, {});
}

/** RFC 3339 in UTC with microseconds, as zap writes it for etcd. `epochMs` may have fractions. */
export function formatTimestamp(epochMs: number): string {
  const wholeMs = Math.floor(epochMs);
  const micros = Math.floor((epochMs - wholeMs) * 1000);
  return `${new Date(wholeMs).toISOString().slice(0, -1)}${String(micros).padStart(3, "0")}Z`;
}

function wrap(sink: PinoLogger, bound: LogFields): Logger {
  const at =
    (level: LogLevel) =>
    (msg: string, fields: LogFields = {}): void => {
      // pino writes its message last; etcd's readers expect it before the fields, so it goes in as the first field.
      if (sink.isLevelEnabled(level)) sink[level]({ msg, ...printable({ ...bound, ...fields }) });
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    isEnabled: (level) => sink.isLevelEnabled(level),
    child: (fields) => wrap(sink, { ...bound, ...fields }),
  };
}

function printable(fields: LogFields): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (value instanceof Error) out[key] = value.message;
    else if (typeof value === "bigint") out[key] = value.toString();
    else out[key] = value;
  }
  return out;
}
