/** Values that may stand in a log line. An Error is written as its message, a bigint as its digits. */
export type LogFields = Readonly<Record<string, unknown>>;

export type LogLevel = "debug" | "info" | "warn" | "error";

/**
 * What the rest of the code logs through. A line is one event in the past tense or etcd's own wording, and its fields.
 * Secrets and values of keys never go in.
 */
export interface Logger {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** Ask before building something costly for a line that may be off. */
  isEnabled(level: LogLevel): boolean;
  /** A logger whose every line carries these fields too. */
  child(fields: LogFields): Logger;
}

/** Logs nothing. For pure code under test and for libraries used without a process. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  isEnabled: () => false,
  child: () => silentLogger,
};
