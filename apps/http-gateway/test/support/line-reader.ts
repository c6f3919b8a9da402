import { once } from "node:events";
import { type ClientRequest, type IncomingHttpHeaders, request } from "node:http";

/** Lines of a streaming answer, as they come. Disposing cuts the connection. */
export class LineReader implements Disposable {
  readonly lines: string[] = [];
  headers: IncomingHttpHeaders = {};
  readonly #outgoing: ClientRequest;

  /** @param body of a POST; nothing for a GET */
  constructor(
    url: string,
    path: string,
    body: string | undefined,
    headers: Readonly<Record<string, string>> = {},
  ) {
    const { hostname, port } = new URL(url);
    const method = body === undefined ? "GET" : "POST";
    this.#outgoing = request({ host: hostname, port, path, method, headers, agent: false });
    this.#outgoing.on("error", () => {});
    this.#outgoing.on("response", (response) => {
      this.headers = response.headers;
      let rest = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        const parts = (rest + chunk).split("\n");
        rest = parts.pop() ?? "";
        this.lines.push(...parts);
        this.#outgoing.emit("line");
      });
      response.on("error", () => {});
      response.on("close", () => this.#outgoing.emit("line"));
    });
    this.#outgoing.end(body);
  }

  async until(condition: (lines: readonly string[]) => boolean): Promise<void> {
    while (!condition(this.lines)) await once(this.#outgoing, "line");
  }

  [Symbol.dispose](): void {
    this.#outgoing.destroy();
  }
}
