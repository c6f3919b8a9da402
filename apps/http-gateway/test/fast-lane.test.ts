import { createMetrics } from "@etcd-edge/runtime";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { profileV1, profileV1Early, profileV2 } from "../src/profile/json-profile.ts";
import { EchoUpstream } from "./support/echo-upstream.ts";
import { RawClient } from "./support/raw-client.ts";
import { startTestGateway, type TestGateway } from "./support/test-gateway.ts";

/*
 * The same bytes are sent to two gateways, one with the lane and one without, and everything that comes back is compared but for
 * the time of day, and what their upstreams were asked.
 */

const b64 = (text: string): string => Buffer.from(text).toString("base64");
const head = (lines: readonly string[], path = "/v3/kv/range"): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${lines.map((line) => `${line}\r\n`).join("")}`;
/** A request as clients send it. */
const ask = (body: string, lines: readonly string[] = [], path?: string): string =>
  `${head([...lines, `Content-Length: ${Buffer.byteLength(body)}`], path)}\r\n${Buffer.from(body).toString("latin1")}`;
const read = (key: string, lines?: readonly string[]): string => ask(`{"key":"${b64(key)}"}`, lines);
/** Its answer shows that all before it were answered. */
const marker = read("marker");
const isMarked = (received: string): boolean => received.includes(b64("marker"));
const last = read("last", ["Connection: close"]);

interface Side {
  readonly gateway: TestGateway;
  readonly upstream: EchoUpstream;
  readonly answered: () => Promise<number>;
}

async function startSide(hasFastLane: boolean, profile = profileV2): Promise<Side> {
  const upstream = new EchoUpstream();
  const metrics = createMetrics("test");
  const gateway = await startTestGateway({ upstream, profile, hasFastLane, metrics });
  const answered = async (): Promise<number> =>
    Number(/^etcd_edge_http_fast_lane_requests_total (\d+)$/m.exec((await metrics.render()).body)?.[1]);
  return { gateway, upstream, answered };
}

/** What comes of bytes that end with the last request of a connection, or with one that is refused. */
async function outcome(
  { gateway, upstream }: Side,
  parts: readonly string[],
  closer: string,
): Promise<object> {
  upstream.calls.length = 0;
  using client = await RawClient.open(gateway.url);
  if (parts.length > 0) {
    await client.send(...parts);
    await client.until(isMarked);
  }
  await client.send(closer);
  const received = await client.untilClosed();
  // node:http asks for pipelined requests at once, the lane for one after the other: calls are compared without their order.
  return {
    received: received.replaceAll(/^Date: .{29}\r$/gm, "Date: -\r"),
    calls: upstream.calls.toSorted(),
  };
}

let lane: Side;
let node: Side;

beforeAll(async () => {
  [lane, node] = await Promise.all([startSide(true), startSide(false)]);
});

afterAll(async () => {
  await lane.gateway[Symbol.asyncDispose]();
  await node.gateway[Symbol.asyncDispose]();
});

async function expectSame(parts: readonly string[], closer = last): Promise<string> {
  const ours = await outcome(lane, parts, closer);
  expect(ours).toEqual(await outcome(node, parts, closer));
  return (ours as { received: string }).received;
}

const inLane: readonly (readonly [string, string])[] = [
  ["a read", read("k")],
  ["an empty body", ask("")],
  ["a body of white space", ask(" \n")],
  ["more than one value", ask('{"key":"YQ=="} {"key":"Yg=="} nonsense')],
  ["no JSON", ask("key")],
  ["half a value", ask('{"key":"YQ=="')],
  ["a field that is none", ask('{"kye":"YQ=="}')],
  ["bytes that are no UTF-8", head(["Content-Length: 3"]).concat("\r\n\xff\xfe\x00")],
  ["a put", ask('{"key":"YQ==","value":"Yg=="}', ["Content-Type: application/json"], "/v3/kv/put")],
  ["a call without a request", ask("{}", [], "/v3/auth/status")],
  ["a credential", read("k", ["Authorization: Bearer abc.1", "Accept: */*"])],
  ["an error of etcd's", read("denied")],
  ["an error that names a challenge", read("token")],
  ["an error that was made here", read("away")],
  ["an error as problem details", read("denied", ["Accept: application/problem+json"])],
  ["bad JSON as problem details", ask("{", ["Accept: application/problem+json"])],
  ["a forwarded client", read("k", ["X-Forwarded-For: 10.0.0.1, 10.0.0.2", "User-Agent: a b"])],
];

const notInLane: readonly (readonly [string, string])[] = [
  ["a range that comes in pages", ask(`{"key":"${b64("a")}","range_end":"${b64("b")}"}`)],
  ["a query", ask(`{"key":"k"}`, [], "/v3/kv/range?utf8")],
  ["an older prefix", ask("{}", [], "/v3beta/kv/range")],
  ["an unclean path", ask("{}", [], "/v3//kv/range")],
  ["no route", ask("{}", [], "/v3/kv/rage")],
  ["a page", "GET /version HTTP/1.1\r\nHost: x\r\n\r\n"],
  ["another method", "PUT /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"],
  ["a preflight", "OPTIONS /v3/kv/range HTTP/1.1\r\nHost: x\r\nOrigin: http://a.example\r\n\r\n"],
  ["an origin", read("k", ["Origin: http://a.example"])],
  ["a chunked body", `${head(["Transfer-Encoding: chunked"])}\r\n2\r\n{}\r\n0\r\n\r\n`],
  ["trailers asked for", read("denied", ["TE: trailers"])],
  ["a header twice", read("k", ["Accept: a", "Accept: b"])],
  ["a value with a tab", read("k", ["Accept: a\tb"])],
  ["a value above ASCII", read("k", ["Accept: \xe4"])],
  ["an empty credential", read("k", ["Authorization: "])],
  ["a body that waits to be asked for", read("k", ["Expect: 100-continue"])],
  ["metadata", read("k", ["Grpc-Metadata-Hasleader: true"])],
  ["an absolute target", ask("{}", [], "http://localhost/v3/kv/range")],
  ["an empty line in front", `\r\n${read("k")}`],
];

/** Node forgets what is pipelined behind it: so it stands alone. */
const upgrade = read("k", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"]);

/** Requests that the connection does not outlive. */
const closers: readonly (readonly [string, string])[] = [
  ["the last request", last],
  ["HTTP/1.0", `POST /v3/kv/range HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}`],
  ["no Host", `POST /v3/kv/range HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}`],
  ["no HTTP", "nonsense\r\n\r\n"],
  ["a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["a length that is none", `${head(["Content-Length: 0x2"])}\r\n{}`],
  ["a length and chunks", `${head(["Content-Length: 2", "Transfer-Encoding: chunked"])}\r\n{}`],
  ["two equal lengths", `${head(["Content-Length: 2", "Content-Length: 2"])}\r\n{}`],
  ["two lengths", `${head(["Content-Length: 2", "Content-Length: 3"])}\r\n{}`],
  ["a bare carriage return", `${head(["Accept: a\rb", "Content-Length: 2"])}\r\n{}`],
  ["a space before the colon", `${head(["Content-Length : 2"])}\r\n{}`],
  ["a zero byte", `${head(["Accept: a\0b", "Content-Length: 2"])}\r\n{}`],
  ["an unknown coding", `${head(["Transfer-Encoding: gzip"])}\r\n{}`],
  ["the last, with an error", read("gone", ["Connection: close"])],
];

describe("the fast lane", () => {
  it.each(inLane)("answers %s as node:http does", async (_, request) => {
    const before = await lane.answered();
    await expectSame([request, request + marker]);
    expect((await lane.answered()) - before).toBe(4);
  });

  it.each([...notInLane, ["an upgrade that is none", upgrade] as const])(
    "hands on %s, and whatever follows",
    async (_, request) => {
      const before = await lane.answered();
      await expectSame([read("first"), request, marker]);
      expect((await lane.answered()) - before).toBe(1);
    },
  );

  it.each(closers)(
    "ends as node:http does with %s, as the first and as a later request",
    async (_, closer) => {
      await expectSame([], closer);
      await expectSame([read("a") + marker], closer);
    },
  );

  it.each([
    ["v1", profileV1],
    ["v1 before 3.4.24, which sends trailers", profileV1Early],
  ])("writes the errors of %s as node:http does", async (_, profile) => {
    const [ours, theirs] = await Promise.all([startSide(true, profile), startSide(false, profile)]);
    for (const key of ["denied", "token", "away", "gone"]) {
      const closer = key === "gone" ? read(key) : last;
      const parts = key === "gone" ? [] : [read(key) + marker];
      expect(await outcome(ours, parts, closer)).toEqual(await outcome(theirs, parts, closer));
    }
    expect(await ours.answered()).toBeGreaterThanOrEqual(10);
    await ours.gateway[Symbol.asyncDispose]();
    await theirs.gateway[Symbol.asyncDispose]();
  });

  it("gives the same for a request that comes in two pieces, wherever it is cut", async () => {
    const whole = read("k", ["Content-Type: application/json"]) + marker;
    const want = JSON.stringify(await outcome(node, [whole], last));
    for (let at = 1; at < whole.length; at++) {
      expect(JSON.stringify(await outcome(lane, [whole.slice(0, at), whole.slice(at)], last))).toBe(want);
    }
  });

  it("gives the same for any sequence, however it is cut", async () => {
    const anyRequest = fc.constantFrom(...[...inLane, ...notInLane].map(([, request]) => request));
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyRequest, { maxLength: 8 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
        fc.constantFrom(...closers.map(([, closer]) => closer)),
        async (requests, cuts, closer) => {
          const bytes = requests.join("") + marker;
          const at = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b)];
          const parts = at.map((from, i) => bytes.slice(from, at[i + 1])).filter((part) => part !== "");
          await expectSame(parts, closer);
        },
      ),
      { numRuns: 100 },
    );
  });
});
