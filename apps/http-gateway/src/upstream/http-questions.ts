import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { ClientTls } from "@etcd-edge/runtime";
import type { DoorAnswer } from "../profile/detect-profile.ts";

/** Longest time for one question. */
const timeoutMs = 2_000;
/** Answers to these questions are short; more than this is not from etcd. */
const maxAnswerBytes = 64 * 1024;

/** Asks the HTTP side of etcd's client ports, which the gRPC port usually has, too. */
export interface HttpQuestions {
  /** POSTs JSON; the first endpoint that answers counts. Nothing where none does. */
  post(path: string, body: string): Promise<DoorAnswer | undefined>;
  /** GETs; otherwise as `post`. */
  get(path: string): Promise<DoorAnswer | undefined>;
}

/**
 * @param findOrigins URLs of the endpoints of the moment without a path, e.g. `http://127.0.0.1:2379`; all are asked at once
 */
export function createHttpQuestions(
  findOrigins: () => readonly string[],
  tls: ClientTls | undefined,
): HttpQuestions {
  const askAll = async (method: string, path: string, body: string): Promise<DoorAnswer | undefined> => {
    const answers = findOrigins().map(
      async (origin) => await ask(new URL(path, origin), { method, body, tls }),
    );
    try {
      return await Promise.any(answers.map(orThrow));
    } catch {
      // Nobody answered.
      return undefined;
    }
  };
  return { post: (path, body) => askAll("POST", path, body), get: (path) => askAll("GET", path, "") };
}

async function orThrow(answer: Promise<DoorAnswer | undefined>): Promise<DoorAnswer> {
  const found = await answer;
  if (found === undefined) throw new Error("no answer");
  return found;
}

async function ask(
  url: URL,
  question: { method: string; body: string; tls: ClientTls | undefined },
): Promise<DoorAnswer | undefined> {
  const { method, body, tls } = question;
  const signal = AbortSignal.timeout(timeoutMs);
  const open = url.protocol === "https:" ? httpsRequest : httpRequest;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = open(url, {
    method,
    signal,
    agent: false,
    headers: { "Content-Type": "application/json" },
    ...tls?.current(),
  });
  request.on("response", resolve).on("error", reject).end(body);
  try {
    const response = await promise;
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) {
      text += String(chunk);
      if (text.length > maxAnswerBytes) return undefined;
    }
    return { status: response.statusCode ?? 0, body: text };
  } catch {
    // Refused, reset, timed out or no HTTP at all: this endpoint has no answer.
    return undefined;
  } finally {
    request.destroy();
  }
}
