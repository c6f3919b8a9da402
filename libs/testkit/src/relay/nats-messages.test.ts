import { describe, expect, it } from "vitest";
import { createNatsCutter } from "./nats-messages.ts";

const said = "INFO {}\r\nPING\r\nMSG a.frames.x 1 5\r\nhe\r\no\r\nMSG b 2 0\r\n\r\n+OK\r\n";

describe("what a NATS server says", () => {
  it.each([1, 2, 3, 7, 100])("is cut into its operations, whatever the chunks (of %s bytes)", (size) => {
    const cut = createNatsCutter((subject) => subject.includes(".frames."));
    const pieces: [string, boolean, string][] = [];
    for (let at = 0; at < said.length; at += size) {
      for (const { bytes, mayBeHarmed, kind } of cut(Buffer.from(said.slice(at, at + size))))
        pieces.push([bytes.toString(), mayBeHarmed, kind]);
    }
    expect(pieces).toEqual([
      ["INFO {}\r\n", false, ""],
      ["PING\r\n", false, ""],
      ["MSG a.frames.x 1 5\r\nhe\r\no\r\n", true, "a.frames.x"],
      ["MSG b 2 0\r\n\r\n", false, "b"],
      ["+OK\r\n", false, ""],
    ]);
  });
});
