import type { Logger } from "@etcd-edge/runtime";

/** Logs what is tried again every second: at warn when the reason is a new one, at debug while it stays. */
export class FailureLog {
  readonly #logger: Logger;
  readonly #message: string;
  #reason: string | undefined;

  constructor(logger: Logger, message: string) {
    this.#logger = logger;
    this.#message = message;
  }

  failed(reason: string): void {
    const isNew = reason !== this.#reason;
    this.#reason = reason;
    if (isNew) this.#logger.warn(this.#message, { error: reason });
    else this.#logger.debug(this.#message, { error: reason });
  }

  succeeded(): void {
    this.#reason = undefined;
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
