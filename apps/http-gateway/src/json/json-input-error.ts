/** A request that is JSON but not the message asked for, or not JSON at all. The text is the one etcd answers. */
export class JsonInputError extends Error {
  readonly code = "JSON_INPUT";
  readonly #path: string[] = [];

  constructor(message: string) {
    super(message);
    this.name = "JsonInputError";
  }

  /** Where in the value the error is, as a JSON Pointer (RFC 6901) in a URI fragment: `#/compare/0/key`. */
  get pointer(): string {
    return `#${this.#path.map((segment) => `/${encodeURIComponent(segment.replaceAll("~", "~0").replaceAll("/", "~1"))}`).join("")}`;
  }

  /** The error is inside this member or item; called from the inside out. */
  within(segment: string | number): this {
    this.#path.unshift(String(segment));
    return this;
  }
}

/** Tells an error on its way out what it is in; others pass as they are. */
export function within(error: unknown, segment: string | number): unknown {
  return error instanceof JsonInputError ? error.within(segment) : error;
}
