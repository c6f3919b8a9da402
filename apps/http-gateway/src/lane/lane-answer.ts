import { STATUS_CODES, validateHeaderValue } from "node:http";
import type { FailedAnswer } from "../http/failed-answer.ts";
import { toUnaryHeaders } from "../http/response-headers.ts";
import type { Metadata } from "../upstream/upstream.ts";

/** How the connection goes on behind an answer. */
export interface AnswerEnd {
  /** The client asked for no more of the connection. */
  readonly isLast: boolean;
  readonly keepAliveTimeoutMs: number;
}

/** An answer as it is sent. */
export interface AnswerBytes {
  readonly bytes: Buffer;
  /** The connection is closed behind it. */
  readonly isLast: boolean;
}

/** Writes answers of HTTP/1.1 exactly as Node's ServerResponse does, headers in the same order. */
export class LaneAnswers {
  readonly #nowMs: () => number;
  #date = { untilMs: 0, text: "" };
  #last: { readonly text: string; readonly base: readonly string[]; readonly metadata: Metadata } & {
    readonly date: string;
    readonly answer: AnswerBytes;
  } = { text: "", base: [], metadata: [], date: "", answer: { bytes: Buffer.alloc(0), isLast: true } };

  /** @param nowMs milliseconds since 1970: what `Date` in an answer says */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * A call that went well. Those whose reads were one get the very same bytes, one after the other.
   * @throws TypeError where the metadata cannot be headers
   */
  unary(text: string, asked: { base: readonly string[]; metadata: Metadata; end: AnswerEnd }): AnswerBytes {
    const { base, metadata, end } = asked;
    const date = this.#dateText();
    const last = this.#last;
    const isSame = last.text === text && last.base === base && last.metadata === metadata;
    if (isSame && last.date === date && last.answer.isLast === end.isLast) return last.answer;
    const length = String(Buffer.byteLength(text));
    const headers = [...toUnaryHeaders(base, metadata), "Content-Length", length];
    const bytes = Buffer.from(headText(200, headers, date, end) + text);
    const answer = { bytes, isLast: end.isLast };
    this.#last = { text, base, metadata, date, answer };
    return answer;
  }

  failed({ status, headers, body, trailers }: FailedAnswer, end: AnswerEnd): AnswerBytes {
    const isClosing = headers.some((text, i) => i % 2 === 0 && text === "Connection");
    const head = headText(status, headers, this.#dateText(), isClosing ? undefined : end);
    const text = trailers === undefined ? body : chunked(body, trailers);
    return { bytes: Buffer.from(head + text), isLast: end.isLast || isClosing };
  }

  #dateText(): string {
    const nowMs = this.#nowMs();
    if (nowMs >= this.#date.untilMs || nowMs < this.#date.untilMs - 1_000) {
      this.#date = { untilMs: (Math.floor(nowMs / 1_000) + 1) * 1_000, text: new Date(nowMs).toUTCString() };
    }
    return this.#date.text;
  }
}

/** @param end nothing where the headers say it themselves */
function headText(
  status: number,
  headers: readonly string[],
  date: string,
  end: AnswerEnd | undefined,
): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    const value = headers[i + 1] ?? "";
    validateHeaderValue(name, value);
    text += `${name}: ${value}\r\n`;
  }
  text += `Date: ${date}\r\n`;
  if (end?.isLast === true) text += "Connection: close\r\n";
  else if (end !== undefined) {
    const seconds = Math.floor(end.keepAliveTimeoutMs / 1_000);
    text += `Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n`;
  }
  return `${text}\r\n`;
}

function chunked(body: string, trailers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n0\r\n${lines.join("")}\r\n`;
}
