/**
 * A configuration that cannot run. Its text is shown to the user as it is, without a stack, and the process ends
 * with status 1. `stream` and `newline` exist because etcd's own messages differ in both, and scripts compare them.
 */
export class ConfigError extends Error {
  readonly code = "CONFIG";
  readonly stream: "stdout" | "stderr";
  readonly newline: boolean;

  constructor(
    message: string,
    options: { cause?: unknown; stream?: "stdout" | "stderr"; newline?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ConfigError";
    this.stream = options.stream ?? "stderr";
    this.newline = options.newline ?? true;
  }
}
