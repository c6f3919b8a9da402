import type { LogFields, Logger } from "@etcd-edge/runtime";

interface Line {
  readonly msg: string;
  readonly fields: LogFields;
}

/** A logger whose lines can be waited for. */
export class EventLog {
  readonly logger: Logger;
  readonly #lines: Line[] = [];
  readonly #watchers = new Set<(line: Line) => void>();

  constructor() {
    this.logger = this.#loggerWith({});
  }

  /** @param always fields of every line */
  #loggerWith(always: LogFields): Logger {
    const add = (msg: string, own: LogFields = {}): void => {
      const fields = { ...always, ...own };
      this.#lines.push({ msg, fields });
      for (const watch of this.#watchers) watch({ msg, fields });
    };
    return {
      debug: add,
      info: add,
      warn: add,
      error: add,
      isEnabled: () => true,
      child: (more) => this.#loggerWith({ ...always, ...more }),
    };
  }

  /** Lines with this text so far. */
  count(msg: string): number {
    return this.#lines.filter((line) => line.msg === msg).length;
  }

  /** The fields of the first line, said already or to come, with this text and fields that match. */
  waitFor(msg: string, matches: (fields: LogFields) => boolean = () => true): Promise<LogFields> {
    const said = this.#lines.find((line) => line.msg === msg && matches(line.fields));
    if (said !== undefined) return Promise.resolve(said.fields);
    const { promise, resolve } = Promise.withResolvers<LogFields>();
    const watch = (line: Line): void => {
      if (line.msg !== msg || !matches(line.fields)) return;
      this.#watchers.delete(watch);
      resolve(line.fields);
    };
    this.#watchers.add(watch);
    return promise;
  }
}
