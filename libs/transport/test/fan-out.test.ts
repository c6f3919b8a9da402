import { describe, expect, it } from "vitest";
import { FrameType, SettingId } from "../src/http2/constants.ts";
import { type FanOut, frameMessage } from "../src/index.ts";
import { startServer } from "./support/echo-server.ts";
import { headers, message, settings, windowUpdate } from "./support/frames.ts";
import { connectRaw } from "./support/raw-peer.ts";

const ignore = { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} };
const ids = [1, 3, 5, 7];
const isData = ({ type }: { readonly type: number }): boolean => type === FrameType.data;

/** A peer with four calls, all in one fan-out, which sends `messages` one after the other and notes who was passed over. */
async function opened(messages: readonly Uint8Array[], setup: readonly Uint8Array[] = []) {
  await using stack = new AsyncDisposableStack();
  const test = stack.use(await startServer({ onCall: () => ignore }));
  const peer = stack.use(await connectRaw(test.port));
  peer.send(...setup, ...ids.map((id) => headers(id)));
  await expect.poll(() => test.calls.length, { timeout: 15_000 }).toBe(ids.length);
  const blocked: number[] = [];
  const waiting = [...messages];
  let next = 0;
  const fan: FanOut<undefined> | undefined = test.calls[0]?.client.openFanOut(() => {
    const [current] = waiting;
    if (current === undefined || fan === undefined) return;
    next = fan.send(frameMessage(current), next, blocked);
    if (next === ids.length) {
      waiting.shift();
      next = 0;
    }
    if (waiting.length > 0) fan.wake();
  });
  if (fan === undefined) throw new Error("no call");
  for (const call of test.calls) fan.add(call);
  return { test, peer, fan, blocked, stack: stack.move() };
}

describe("one message for many calls of a connection", () => {
  it("goes to each as a frame of its own, in order", async () => {
    const { peer, fan, blocked, stack, test } = await opened([Buffer.from("one"), Buffer.from("two")]);
    await using _ = stack;
    fan.swap(0, 3);
    fan.wake();
    await peer.count(8, isData);
    for (const id of ids) expect(peer.body(id)).toEqual(Buffer.concat([message("one"), message("two")]));
    expect(peer.frames.filter(isData).map(({ streamId }) => streamId)).toEqual([7, 3, 5, 1, 7, 3, 5, 1]);
    expect(blocked).toEqual([]);
    expect(test.calls[0]?.client.counters.messagesSent).toBe(8);
  });

  it("passes over calls without window, or with bytes that wait, and those that are over", async () => {
    const small = settings([SettingId.initialWindowSize, 10]);
    const { peer, fan, blocked, stack, test } = await opened([Buffer.from("one")], [small]);
    await using _ = stack;
    peer.send(windowUpdate(3, 10));
    test.calls[2]?.sendMessage(Buffer.from("long enough to wait"));
    test.calls[3]?.end();
    await expect.poll(() => test.calls[1]?.sendWindow, { timeout: 15_000 }).toBe(20);
    test.calls[0]?.sendMessage(Buffer.from("xx")); // 7 of its 10 bytes
    fan.wake();
    await expect.poll(() => blocked, { timeout: 15_000 }).toEqual([0, 2, 3]);
    await peer.count(1, ({ streamId, type }) => streamId === 3 && type === FrameType.data);
    expect(peer.body(3)).toEqual(message("one"));
  });

  it("waits for the connection's window, and goes on where it stopped", async () => {
    const large = Buffer.alloc(16_000, "x");
    // 65,535 bytes for the connection: four messages of 16,005 and not a fifth.
    const { peer, fan, blocked, stack } = await opened([large, large]);
    await using _ = stack;
    fan.wake();
    await peer.count(4, isData);
    peer.send(windowUpdate(0, 20_000));
    await peer.count(5, isData);
    peer.send(windowUpdate(0, 1_000_000));
    await peer.count(8, isData);
    expect(blocked).toEqual([]);
    for (const id of ids) expect(peer.body(id)).toEqual(Buffer.concat([message(large), message(large)]));
  });

  it("does not take a message that needs more than one frame", async () => {
    const { fan, blocked, stack } = await opened([Buffer.alloc(17_000)]);
    await using _ = stack;
    fan.wake();
    await expect.poll(() => blocked, { timeout: 15_000 }).toEqual([0, 1, 2, 3]);
  });

  it("rule 40: is written no further ahead of the peer than anything else", async () => {
    const messages = Array.from({ length: 200 }, () => Buffer.alloc(16_000, "y"));
    const wide = settings([SettingId.initialWindowSize, 2 ** 30]);
    const { peer, fan, stack, test } = await opened(messages, [wide, windowUpdate(0, 2 ** 30)]);
    await using _ = stack;
    peer.socket.pause();
    let most = 0;
    const out = test.calls[0]?.client.out;
    fan.wake();
    await expect
      .poll(
        () => {
          most = Math.max(most, out?.unreadBytes ?? 0);
          return (out?.unreadBytes ?? 0) > 0 && most > 200_000;
        },
        { timeout: 15_000 },
      )
      .toBe(true);
    expect(most).toBeLessThan(256 * 1024 + 64 * 1024 + 17_000);
    peer.socket.resume();
    await peer.count(800, isData);
  });
});
