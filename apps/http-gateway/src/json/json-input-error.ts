/** A request that is JSON but not the message asked for, or not JSON at all. The text is the one etcd answers. */
export class JsonInputError extends Error {
  readonly code = "JSON_INPUT";

  constructor(message: string) {
    super(message);
    this.name = "JsonInputError";
  }
}
