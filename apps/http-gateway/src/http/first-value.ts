import type { IncomingMessage } from "node:http";
import type { Clock, Timer } from "@etcd-edge/runtime";
import type { JsonDocument } from "../json/json-node.ts";
import type { JsonLimits } from "../json/json-scanner.ts";
import { bodyTooSlow } from "./body-too-slow.ts";
import { BodyValues } from "./body-values.ts";
import { ClientGoneError } from "./client-gone-error.ts";
import type { ClientPresence } from "./client-presence.ts";

export interface FirstValueOptions {
  readonly presence: ClientPresence;
  readonly clock: Clock;
  /** How long the value may take to come, in milliseconds. */
  readonly timeoutMs: number;
  /** Longest value, in bytes. */
  readonly maxValueBytes: number;
  readonly limits: JsonLimits;
}

const ignore = (): void => {};

/**
 * The first JSON value of a body: all that a call with one request reads. Resolves as soon as it is whole, with nothing for a
 * body without any. The rest of the body is left where it is, paused.
 *
 * @throws JsonInputError, BodyTooLargeError, ClientGoneError, or UpstreamError 408 where the client takes too long over it: one byte
 *   now and then would hold a connection, and what was read of its body, for ever
 */
export function readFirstValue(
  request: IncomingMessage,
  { presence, clock, timeoutMs, maxValueBytes, limits }: FirstValueOptions,
): Promise<JsonDocument | undefined> {
  return new Promise((resolve, reject) => {
    const values = new BodyValues(maxValueBytes, limits);
    let isOver = false;
    let timer: Timer | undefined;
    const finish = (): void => {
      isOver = true;
      timer?.stop();
      stopListening();
      if (!request.complete) request.pause();
    };
    const fail = (error: unknown): void => {
      if (isOver) return;
      finish();
      reject(error);
    };
    const read = (take: () => void): void => {
      if (isOver) return;
      try {
        take();
        const found = values.next();
        if (found.t === "more") return;
        finish();
        resolve(found.t === "value" ? found.value : undefined);
      } catch (error) {
        fail(error);
      }
    };
    request.on("data", (chunk: Buffer) => read(() => values.push(chunk)));
    request.on("end", () => read(() => values.finish()));
    // Whoever resets the connection has gone, which is told by the presence.
    request.on("error", ignore);
    const stopListening = presence.onGone(() => fail(new ClientGoneError()));
    // Nearly all bodies came along with their headers, and are read before this.
    process.nextTick(() => {
      if (!isOver) timer = clock.setTimer(timeoutMs, () => fail(bodyTooSlow(timeoutMs)));
    });
  });
}
