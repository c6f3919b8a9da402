import { type FuzzTarget, type Random, randomBytes } from "@etcd-edge/testkit";
import { encodeProxyHeader, parseProxyHeader } from "../../src/proxy-protocol/proxy-header.ts";

const addresses = ["1.2.3.4", "255.255.255.255", "::1", "2001:db8::1", "::ffff:1.2.3.4", "1.2.3", "x"];
const words = ["PROXY", "TCP4", "TCP6", "UNKNOWN", "UDP4", "", "1", "65535", "65536", "-1"];

/** A header of either version, whole or nearly so, and what may follow it. */
function generate(random: Random): Buffer {
  const [source, destination] = [random.pick(addresses), random.pick(addresses)];
  const rest = randomBytes(random, 20);
  if (random.chance(40)) {
    const family = random.pick(["TCP4", "TCP6", "UNKNOWN", random.pick(words)]);
    const line = ["PROXY", family, source, destination, random.below(70_000), random.pick(words)].join(" ");
    return Buffer.concat([Buffer.from(`${line}\r\n`), rest]);
  }
  const fixed = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
  const body = randomBytes(random, 60);
  const head = Buffer.from([
    random.pick([0x20, 0x21, 0x22, 0x11]),
    random.pick([0x11, 0x21, 0x31, 0x00]),
    0,
    random.chance(80) ? body.length : random.below(256),
  ]);
  return Buffer.concat([fixed, head, body, rest]);
}

/** The first bytes of a connection: the verdict never changes for bytes that come behind a header. */
const header: FuzzTarget = {
  generate,
  pieces: words.map((word) => Buffer.from(` ${word}`)),
  run: (input) => {
    const parsed = parseProxyHeader(input);
    if (parsed.t === "invalid" || parsed.t === "incomplete") {
      for (let end = 0; parsed.t === "incomplete" && end < input.length; end += 7) {
        if (parseProxyHeader(input.subarray(0, end)).t !== "incomplete")
          throw new Error("a beginning knows more than the whole");
      }
      return parsed.t;
    }
    if (parsed.bytes > input.length) throw new Error("a header longer than what has come");
    const again = parseProxyHeader(Buffer.concat([input.subarray(0, parsed.bytes), Buffer.from("more")]));
    if (again.t !== parsed.t || ("bytes" in again && again.bytes !== parsed.bytes))
      throw new Error("what follows changes it");
    for (let end = 0; end < parsed.bytes; end += 5) {
      if (parseProxyHeader(input.subarray(0, end)).t !== "incomplete")
        throw new Error(`decided after ${end} bytes`);
    }
    if (parsed.t === "anonymous") return "anonymous";
    for (const version of [1, 2] as const) {
      const back = parseProxyHeader(encodeProxyHeader(parsed.connection, version));
      if (back.t !== "header" || back.connection.sourcePort !== parsed.connection.sourcePort) {
        throw new Error(`not read back in version ${version}`);
      }
    }
    return `header ${input[0]} ${parsed.connection.sourceAddress.includes(":")}`;
  },
};

export const targets: Readonly<Record<string, FuzzTarget>> = { header };
