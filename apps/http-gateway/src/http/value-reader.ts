import type { JsonDocument } from "../json/json-node.ts";
import type { JsonLimits } from "../json/json-scanner.ts";
import { BodyValues } from "./body-values.ts";

/** Where bytes come from: the next chunk, or nothing at the end. */
export interface ChunkSource {
  next(): Promise<Buffer | undefined>;
}

/** Reads the JSON values of a body one by one, as they come in, and no further than they are asked for. */
export class ValueReader {
  readonly #source: ChunkSource;
  readonly #values: BodyValues;

  constructor(source: ChunkSource, maxValueBytes: number, limits: JsonLimits) {
    this.#source = source;
    this.#values = new BodyValues(maxValueBytes, limits);
  }

  /**
   * The next value, or nothing at the end of the body.
   * @throws JsonInputError with Go's text, after which the rest of the body is not to be read
   * @throws BodyTooLargeError
   */
  async next(): Promise<JsonDocument | undefined> {
    for (;;) {
      const found = this.#values.next();
      if (found.t === "value") return found.value;
      if (found.t === "end") return undefined;
      const chunk = await this.#source.next();
      if (chunk === undefined) this.#values.finish();
      else this.#values.push(chunk);
    }
  }
}
