import { type Agent, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";

export interface HttpQuestion {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | null;
  /** Connections to use again. Default: one of its own. */
  readonly agent?: Agent;
  /** Gives up waiting; the exchange throws. */
  readonly signal?: AbortSignal;
}

export interface HttpExchange {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/**
 * Sends one request as it is written, over a connection of its own, and reads the answer. With `until` reading stops
 * and the connection is cut as soon as the body satisfies it, which is how a stream that stays open is read.
 */
export async function exchange(
  origin: string,
  question: HttpQuestion,
  until?: (body: string) => boolean,
): Promise<HttpExchange> {
  const { hostname, port } = new URL(origin);
  const outgoing = request({
    host: hostname,
    port,
    method: question.method,
    path: question.path,
    headers: { ...question.headers },
    agent: question.agent ?? false,
    ...(question.signal === undefined ? {} : { signal: question.signal }),
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on("response", resolve);
    outgoing.on("error", reject);
  });
  outgoing.end(question.body ?? undefined);
  const response = await answered;
  let body = "";
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      body += String(chunk);
      if (until?.(body) === true) break;
    }
  } finally {
    if (question.agent === undefined) outgoing.destroy();
  }
  return { status: response.statusCode ?? 0, headers: response.headers, trailers: response.trailers, body };
}
