import { create, fromBinary, type Rpc, toBinary } from "@etcd-edge/proto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findRoute } from "../src/door/routes.ts";
import { decodeV2 } from "../src/json/decode-v2.ts";
import { parseJson } from "../src/json/json-node.ts";
import { type JsonProfile, profileV1Early, profileV2 } from "../src/profile/json-profile.ts";
import { FakeUpstream, type Script } from "./support/fake-upstream.ts";
import { exchange } from "./support/http-exchange.ts";
import { bodyOf, type Recording, readRecordings } from "./support/recordings.ts";
import { startTestGateway, type TestGateway } from "./support/test-gateway.ts";

// Every recorded request is sent to the gateway. The fake etcd behind it answers what the real one must have answered,
// read out of the recorded body; what the gateway makes of it must be the recorded status, headers and bytes. Where
// the recorded error was made by the JSON door itself the fake must never be asked.

/** Recordings that we answer otherwise, each with the reason. */
const differs: Readonly<Record<string, string>> = {
  watch_malformed: "v2 leaves the client waiting; we answer 400",
  watch_bad_base64: "v2 leaves the client waiting; we answer 400",
  watch_empty_body: "etcd leaves the client waiting; we answer 400",
  watch_empty_object: "etcd leaves the client waiting; we answer 400",
  watch_chunked_open_body: "etcd answers only when the body ends; we answer at once",
  lease_keepalive_open_body: "etcd answers only when the body ends; we answer at once",
  chunked_request_left_open: "etcd answers only when the body ends; we answer at once",
  lease_keepalive_malformed: "v2 answers 200 without a body; we answer 400",
  type_repeated_elem_null: "v1 panics and drops the connection; we answer 400",
  type_oneof_null:
    "1.6.4 of grpc-gateway mostly loses the request beside a null; later releases and we do not",
  maintenance_alarm_activate_none_CRASHES_ETCD: "kills etcd 3.4; we refuse it",
  maintenance_alarm_activate_none: "a request that kills etcd 3.4; its recording has no CORS headers",
  type_enum_num_unknown:
    "a sort order outside the schema is refused: with its target it kills etcd (rule 13)",
  route_double_slash: "301 loses the method of a POST; we say 307, as etcd 3.7",
  route_dotdot: "301 loses the method of a POST; we say 307, as etcd 3.7",
  maintenance_snapshot: "recorded in part",
  maintenance_hashkv_future:
    "3.4 has no such route; we have every route and let etcd say that it does not know it",
  maintenance_downgrade: "3.4 has no such route",
  auth_status: "3.4 has no such route",
};

const handled = (name: string): boolean => name in differs;

/** Messages that only etcd itself makes. */
const fromEtcd = /^(?:etcdserver|election|auth):|^"leader" field|^context deadline exceeded$/;

function toMessage(rpc: Rpc, text: string): Uint8Array {
  return toBinary(rpc.output, decodeV2(rpc.output, parseJson(Buffer.from(text)), "base64"));
}

interface RecordedError {
  readonly code?: number;
  readonly grpc_code?: number;
  readonly message: string;
}

function scriptOf(rpc: Rpc, recording: Recording): Script | undefined {
  if (rpc.kind === "unary") {
    if (recording.status === 200) return { t: "answer", message: toMessage(rpc, recording.response) };
    const { code, message } = JSON.parse(recording.response) as RecordedError;
    if (!fromEtcd.test(message)) return undefined;
    const origin = message === "context deadline exceeded" ? "local" : "server";
    return { t: "error", status: code ?? 0, message, origin };
  }
  const lines = recording.response.split("\n").filter((line) => line !== "");
  const messages: Uint8Array[] = [];
  for (const line of lines) {
    const parsed = JSON.parse(line) as { error?: RecordedError | string; code?: number; message?: string };
    if (parsed.error === undefined) {
      messages.push(toMessage(rpc, line.slice('{"result":'.length, -1)));
      continue;
    }
    const { code, grpc_code, message } =
      typeof parsed.error === "string" ? (parsed as RecordedError) : parsed.error;
    if (!fromEtcd.test(message)) return undefined;
    const origin = message === "context deadline exceeded" ? "local" : "server";
    return { t: "frames", messages, ending: { status: code ?? grpc_code ?? 0, message, origin } };
  }
  return { t: "frames", messages, ending: recording.complete ? "end" : "open" };
}

/** Spaces behind commas are protojson's, present in one build and absent in the next. */
function normalise(body: string): string {
  return body
    .replaceAll('", "', '","')
    .replaceAll(/([}\]"\d]|true), (?=["{])/g, "$1,")
    .replaceAll("\u00a0", " ");
}

const comparedHeaders = [
  "content-type",
  "grpc-metadata-content-type",
  "trailer",
  "www-authenticate",
  "location",
  "allow",
  "access-control-allow-origin",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "x-content-type-options",
];

describe.each([
  {
    file: "recorded-3.4.23-debian.jsonl",
    profile: { ...profileV1Early, failedPreconditionStatus: 412 } satisfies JsonProfile,
  },
  { file: "recorded-3.5.30-debian.jsonl", profile: profileV2 },
])("answers like $file", ({ file, profile }) => {
  const upstream = new FakeUpstream({ t: "error", status: 13, message: "not scripted", origin: "server" });
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await startTestGateway({ upstream, profile });
  });

  afterAll(async () => {
    expect(gateway.reported).toEqual([]);
    await gateway[Symbol.asyncDispose]();
  });

  const recordings = readRecordings(file).filter(
    ({ name, path }) => !handled(name) && /^\/v3(?:beta)?\//.test(path) && !name.startsWith("cors_"),
  );

  it.each(recordings.map((recording) => [recording.name, recording] as const))("%s", async (_, recording) => {
    const path = decodeURIComponent(recording.path.split("?", 1)[0] ?? "").replace("/v3beta/", "/v3/");
    const rpc = findRoute(path);
    const isCall = recording.method === "POST" && rpc !== undefined && recording.response.startsWith("{");
    const script = isCall ? scriptOf(rpc, recording) : undefined;
    upstream.script = script ?? {
      t: "error",
      status: 13,
      message: "etcd must not be asked",
      origin: "server",
    };
    if (rpc !== undefined && rpc.kind !== "unary" && script === undefined && recording.status === 200) {
      upstream.script = { t: "frames", messages: [], ending: "end" };
    }
    const question = {
      method: recording.method,
      path: recording.path,
      headers: recording.headers,
      body: bodyOf(recording),
    };
    const expected = normalise(recording.response);
    const answer = await exchange(gateway.url, question, (body) => !recording.complete && body === expected);
    expect(answer.status).toBe(recording.status);
    expect(normalise(answer.body)).toBe(expected);
    const recorded = Object.entries(recording.response_headers).map(([name, value]) => [
      name.toLowerCase(),
      value,
    ]);
    const theirs = Object.fromEntries(recorded.filter(([name = ""]) => comparedHeaders.includes(name)));
    const ours = Object.fromEntries(
      Object.entries(answer.headers).filter(([name]) => comparedHeaders.includes(name)),
    );
    expect(ours).toEqual(theirs);
    const trailer = recording.response_trailers?.["Grpc-Trailer-Content-Type"]?.[0];
    expect(answer.trailers["grpc-trailer-content-type"]).toBe(trailer);
  });
});

it("decodes its own empty messages", () => {
  const rpc = findRoute("/v3/kv/range");
  if (rpc === undefined) throw new Error("no route");
  expect(fromBinary(rpc.output, toMessage(rpc, "{}"))).toEqual(create(rpc.output));
});
