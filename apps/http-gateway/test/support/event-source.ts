import { type ClientRequest, type IncomingMessage, request } from "node:http";

/** One event, as an EventSource would have it. */
export interface SentEvent {
  readonly id: string;
  readonly name: string;
  readonly data: string;
}

/** Reads an event stream over a connection of its own. Disposing cuts it. */
export class EventSourceProbe implements Disposable {
  readonly events: SentEvent[] = [];
  /** Lines that are no fields of an event: comments and `retry`. */
  readonly others: string[] = [];
  status: number | undefined;
  headers: IncomingMessage["headers"] = {};
  /** What there is of a body that is no event stream. */
  body = "";
  isOver = false;
  readonly #outgoing: ClientRequest;

  constructor(url: string, path: string, headers: Readonly<Record<string, string>> = {}) {
    const { hostname, port } = new URL(url);
    this.#outgoing = request({
      ...{ host: hostname, port, path, agent: false },
      headers: { accept: "text/event-stream", ...headers },
    });
    this.#outgoing.on("error", () => {});
    this.#outgoing.on("response", (response) => {
      this.status = response.statusCode;
      this.headers = response.headers;
      response.setEncoding("utf8");
      response.on("error", () => {});
      response.on("data", (text: string) => this.#read(text));
      response.on("close", () => {
        this.isOver = true;
      });
    });
    this.#outgoing.end();
  }

  /** Data of the events that have no name. */
  get messages(): {
    readonly events: {
      readonly type?: string;
      readonly kv: { readonly key: string; readonly value?: string };
    }[];
  }[] {
    return this.events.filter(({ name }) => name === "message").map(({ data }) => JSON.parse(data));
  }

  /** `PUT a=1`, in order. */
  get changes(): string[] {
    const text = (base64: string | undefined): string => Buffer.from(base64 ?? "", "base64").toString();
    return this.messages.flatMap(({ events }) =>
      events.map(({ type, kv }) => `${type ?? "PUT"} ${text(kv.key)}=${text(kv.value)}`),
    );
  }

  [Symbol.dispose](): void {
    this.#outgoing.destroy();
  }

  #read(text: string): void {
    this.body += text;
    for (;;) {
      const end = this.body.indexOf("\n\n");
      if (end < 0) return;
      this.#dispatch(this.body.slice(0, end).split("\n"));
      this.body = this.body.slice(end + 2);
    }
  }

  #dispatch(lines: readonly string[]): void {
    const field = (name: string): string | undefined =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const data = field("data");
    if (data === undefined) this.others.push(...lines);
    else this.events.push({ id: field("id") ?? "", name: field("event") ?? "message", data });
  }
}
