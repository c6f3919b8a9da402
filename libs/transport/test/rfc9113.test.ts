import type { Buffer } from "node:buffer";
import { expect, it } from "vitest";
import { ErrorCode, FrameType } from "../src/http2/constants.ts";
import { startServer } from "./support/echo-server.ts";
import { ping, settingsAck } from "./support/frames.ts";
import { connectRaw } from "./support/raw-peer.ts";
import { cases } from "./support/rfc9113-cases.ts";

it.each(cases)("RFC $section: $what", async ({ send, expected, opening }) => {
  await using test = await startServer({
    onCall: (call) => ({
      onMessage: (payload) => call.sendMessage(payload),
      onHalfClose: () => {
        if (call.path !== "/hang") call.end();
      },
      onCancel: () => {
        // The frames on the wire are what counts here.
      },
    }),
  });
  await using peer = await connectRaw(test.port, opening === undefined ? [] : "nothing");
  peer.send(...(opening ?? []), ...send);
  if (expected !== "ignored" && "goaway" in expected) {
    expect(await peer.goawayCode()).toBe(expected.goaway);
    await peer.closed();
    return;
  }
  if (expected !== "ignored" && "reset" in expected) {
    const isReset = ({
      type,
      streamId,
      payload,
    }: {
      type: number;
      streamId: number;
      payload: Buffer;
    }): boolean =>
      type === FrameType.rstStream &&
      streamId === expected.reset &&
      payload.readUInt32BE(0) !== ErrorCode.noError;
    const frame = await peer.frame("RST_STREAM", isReset);
    expect(frame.payload.readUInt32BE(0)).toBe(expected.code);
  }
  if (expected !== "ignored" && "answered" in expected) {
    const trailers = await peer.trailers(expected.answered);
    expect(trailers.fields?.["grpc-status"]).toBe("0");
  }
  peer.send(settingsAck, ping("stillup!"));
  await peer.frame(
    "PING ACK",
    ({ type, flags, payload }) => type === FrameType.ping && flags === 1 && payload.toString() === "stillup!",
  );
});
