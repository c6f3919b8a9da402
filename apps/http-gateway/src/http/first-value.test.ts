import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { BodyTooLargeError } from "./body-values.ts";
import { ClientGoneError } from "./client-gone-error.ts";
import { ClientPresence } from "./client-presence.ts";
import { readFirstValue } from "./first-value.ts";

const maxValueBytes = 40;

/** A body as node:http gives it, and the time that its reader knows. */
function start() {
  const body = new PassThrough();
  const presence = new ClientPresence();
  const timers: { delayMs: number; fire: () => void }[] = [];
  const clock = {
    nowMs: () => 0,
    setTimer: (delayMs: number, fire: () => void) => {
      timers.push({ delayMs, fire });
      return { stop: () => void timers.splice(0) };
    },
  };
  const limits = { maxDepth: 10, maxValues: 10 };
  const value = readFirstValue(body as unknown as IncomingMessage, {
    ...{ presence, clock, timeoutMs: 5_000, maxValueBytes, limits },
  });
  return { body, presence, timers, value };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

it.each(['{"key":"Zm9v"}', ' [1, {"a":null}]', "12 ", '"text"'])(
  "is read of %j in two parts, cut anywhere, before the body ends; no timer is left",
  async (text) => {
    for (let cut = 0; cut <= text.length; cut++) {
      const { body, timers, value } = start();
      if (cut > 0) body.write(text.slice(0, cut));
      await turn();
      body.write(`${text.slice(cut)} {"more"`);
      expect((await value)?.bytes.toString()).toBe(text.trim());
      expect([timers, body.isPaused()]).toEqual([[], true]);
      body.destroy();
    }
  },
);

it("ends with the body: a number is whole, a body of white space has no value, half a value is an error", async () => {
  const texts = ["12", "  \n ", "", '{"a"'];
  const found = await Promise.allSettled(
    texts.map((text) => {
      const { body, value } = start();
      body.end(text);
      return value;
    }),
  );
  expect(
    found.map((one) => (one.status === "fulfilled" ? one.value?.bytes.toString() : String(one.reason))),
  ).toEqual(["12", undefined, undefined, expect.stringContaining("unexpected EOF")]);
});

it("may stand behind any amount of white space, but be no longer than the limit", async () => {
  const blank = start();
  for (let i = 0; i < 10; i++) {
    blank.body.write(" ".repeat(maxValueBytes));
    await turn();
  }
  blank.body.write("{}");
  expect((await blank.value)?.bytes.toString()).toBe("{}");
  const long = start();
  long.body.write(`"${"x".repeat(maxValueBytes)}`);
  await expect(long.value).rejects.toBeInstanceOf(BodyTooLargeError);
});

it("is waited for so long and no longer, and not by whom the client has left", async () => {
  const slow = start();
  slow.body.write('{"key":');
  await turn();
  expect(slow.timers.map(({ delayMs }) => delayMs)).toEqual([5_000]);
  slow.timers[0]?.fire();
  await expect(slow.value).rejects.toMatchObject({
    httpStatus: 408,
    message: "the request body did not come within 5s",
  });
  const left = start();
  left.presence.leave();
  await expect(left.value).rejects.toBeInstanceOf(ClientGoneError);
  left.body.destroy(new Error("read ECONNRESET")); // heard, and told to nobody
});
