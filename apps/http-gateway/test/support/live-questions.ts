import type { HttpQuestion } from "./http-exchange.ts";
import { bodyOf, type Recording, readRecordings } from "./recordings.ts";

/** A question for both doors, with a name for reports. */
export interface LiveQuestion extends HttpQuestion {
  readonly name: string;
}

/** Streams that etcd leaves open are ended by this deadline on both sides. */
const streamDeadline = { "Grpc-Timeout": "700m" };

const isStream = (path: string): boolean => /\/(?:watch|keepalive|observe|snapshot)$/.test(path);

function post(
  name: string,
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): LiveQuestion {
  return {
    name,
    method: "POST",
    path,
    body,
    headers: isStream(path) ? { ...streamDeadline, ...headers } : headers,
  };
}

/** Recorded requests that cannot be asked for this comparison, and why. */
const unasked: Readonly<Record<string, string>> = {
  maintenance_alarm_activate_none: "kills etcd 3.4",
  maintenance_alarm_activate_none_CRASHES_ETCD: "kills etcd 3.4",
  maintenance_snapshot: "differs in its bytes; has a test of its own",
  chunked_request_left_open: "etcd never answers",
  watch_chunked_open_body: "etcd never answers",
  lease_keepalive_open_body: "etcd never answers",
  put_with_grpc_metadata_token: "3.4 waits for the raft index in the recorded token",
  user_list_alice: "3.4 waits for the raft index in the recorded token",
  auth_disable: "3.4 waits for the raft index in the recorded token",
  put_with_stale_token_auth_disabled: "3.4 waits for the raft index in the recorded token",
  election_observe: "whose timer is first, etcd's or its door's, decides the answer",
  observe_grpc_timeout_no_leader: "whose timer is first, etcd's or its door's, decides the answer",
  watch_progress_request: "the order of the two answers is a race inside etcd",
  hdr_expect_100: "needs a client that waits for 100 Continue",
};

/** Every recorded request, in the order of the recording. */
export function recordedQuestions(file: string): LiveQuestion[] {
  return readRecordings(file)
    .filter((recording) => !(recording.name in unasked))
    .map((recording: Recording) => ({
      name: recording.name,
      method: recording.method,
      path: recording.path,
      body: bodyOf(recording),
      headers: isStream(recording.path) ? { ...streamDeadline, ...recording.headers } : recording.headers,
    }));
}

const b64 = (text: string): string => Buffer.from(text).toString("base64");
const range = (fields: string): string => `{"key":"${b64("foo")}",${fields}}`;

/** Requests of our own, on top of the recorded ones. Run on two fresh clusters they leave the same state. */
export const ownQuestions: readonly LiveQuestion[] = [
  post("put", "/v3/kv/put", `{"key":"${b64("foo")}","value":"${b64("bar")}"}`),
  post("put with html in the key", "/v3/kv/put", `{"key":"${b64("<&>")}","value":"${b64("\u2028")}"}`),
  post("range everything", "/v3/kv/range", `{"key":"AA==","range_end":"AA=="}`),
  post("range, v3alpha", "/v3alpha/kv/range", range('"limit":1')),
  post("range, v3beta", "/v3beta/kv/range", range('"limit":1')),
  ...[
    '"limit":"1"',
    '"limit":1',
    '"limit":1e0',
    '"limit":10e-1',
    '"limit":1.5',
    '"limit":-0',
    '"limit":"-0"',
    '"limit":"1 "',
    '"limit":"\\u0031"',
    '"limit":null',
    '"limit":"null"',
    '"limit":"[1]"',
    '"limit":"{}"',
    '"limit":[1]',
    '"limit":{}',
    '"limit":true',
    '"limit":01',
    '"limit":9223372036854775807',
    '"limit":-9223372036854775809',
    '"limit":1e40',
    '"limit":"1e2"',
    '"revision":"0"',
    '"serializable":1',
    '"serializable":null',
    '"serializable":"false"',
    '"serializable":[]',
    '"sort_order":"ascend"',
    '"sort_order":1.0',
    '"sort_order":1e0',
    '"sort_order":"ASCEND"',
    '"sort_order":[]',
    '"sort_order":{}',
    '"sort_order":"\\u0041SCEND"',
    '"range_end":null',
    '"range_end":"Zm9w\\n"',
    '"range_end":"Zm9w===="',
    '"range_end":"Zm=9"',
    '"range_end":"Zg=="',
    '"range_end":"Zg="',
    '"range_end":"Zg"',
    '"range_end":"="',
    '"range_end":[102,111,112]',
    '"range_end":[102,300]',
    '"range_end":[]',
    '"range_end":"-_-_"',
    '"rangeEnd":"Zm9w","range_end":"Zm9x"',
    '"range_end":"Zm9x","rangeEnd":"Zm9w"',
    '"":1',
    '"\\u006cimit":1',
  ].map((fields) => post(`range ${fields}`, "/v3/kv/range", range(fields))),
  ...[
    "",
    " ",
    "{",
    "}",
    "{}x",
    "{},",
    "[",
    "[]",
    "[1,2",
    "nul",
    "tru",
    "-",
    "1.",
    "1e",
    '"',
    '"\\',
    '"\\u12',
    '{"a":}',
    '{"a":1,}',
    '{"a" 1}',
    "{,}",
    "\u0001",
    '{"a":"\t"}',
    '\n\n{\n"key" :\n "!"}',
    '{"key":"Zm9v"}}',
  ].map((body) => post(`range body ${JSON.stringify(body)}`, "/v3/kv/range", body)),
  post(
    "txn compare value",
    "/v3/kv/txn",
    `{"compare":[{"key":"${b64("foo")}","target":"VALUE","value":"${b64("bar")}"}],"success":[{"requestRange":{"key":"${b64("foo")}"}}]}`,
  ),
  post("txn with a compare that is no list", "/v3/kv/txn", '{"compare":"x"}'),
  post("txn with numbers for operations", "/v3/kv/txn", '{"success":[1]}'),
  post(
    "txn nested with delete",
    "/v3/kv/txn",
    `{"success":[{"request_txn":{"success":[{"request_delete_range":{"key":"${b64("<&>")}","prev_kv":true}}]}}]}`,
  ),
  post("lease grant", "/v3/lease/grant", '{"ID":4242,"TTL":600}'),
  post("lease grant again", "/v3/lease/grant", '{"ID":"4242","TTL":"600"}'),
  post("put with the lease", "/v3/kv/put", `{"key":"${b64("leased")}","value":"","lease":4242}`),
  post("lease leases", "/v3/lease/leases", "{}"),
  post("lease time to live with keys", "/v3/lease/timetolive", '{"ID":4242,"keys":true}'),
  post("lease keepalive", "/v3/lease/keepalive", '{"ID":4242}{"ID":"4242"} {"ID":1}'),
  post("lease keepalive without a body", "/v3/lease/keepalive", ""),
  post("lease keepalive with a wrong type", "/v3/lease/keepalive", '{"ID":"x"}'),
  post(
    "watch two keys",
    "/v3/watch",
    `{"create_request":{"key":"${b64("foo")}","watch_id":3}}{"create_request":{"key":"${b64("leased")}","watch_id":4,"start_revision":1}}`,
  ),
  post(
    "watch all from 1 with prev_kv",
    "/v3/watch",
    '{"create_request":{"key":"AA==","range_end":"AA==","start_revision":1,"prev_kv":true}}',
  ),
  post(
    "watch with filters",
    "/v3/watch",
    `{"create_request":{"key":"${b64("foo")}","start_revision":1,"filters":["NOPUT"]}}`,
  ),
  post(
    "watch an empty range",
    "/v3/watch",
    `{"create_request":{"key":"${b64("b")}","range_end":"${b64("a")}"}}`,
  ),
  post(
    "watch the same id twice",
    "/v3/watch",
    `{"create_request":{"key":"${b64("a")}","watch_id":9}}\n{"create_request":{"key":"${b64("b")}","watch_id":9}}`,
  ),
  post("lease revoke", "/v3/kv/lease/revoke", '{"ID":4242}'),
  post("compaction", "/v3/kv/compaction", '{"revision":3}'),
  post("range below the compaction", "/v3/kv/range", range('"revision":1')),
  post(
    "watch below the compaction",
    "/v3/watch",
    `{"create_request":{"key":"${b64("foo")}","start_revision":1}}`,
  ),
  post("member list", "/v3/cluster/member/list", "{}"),
  post("member remove with 64 bits", "/v3/cluster/member/remove", '{"ID":18446744073709551615}'),
  post("member add with a bad url", "/v3/cluster/member/add", '{"peerURLs":["x"]}'),
  post("status", "/v3/maintenance/status", "{}"),
  post("hash", "/v3/maintenance/hash", "{}"),
  post("defragment", "/v3/maintenance/defragment", "{}"),
  post("move leader", "/v3/maintenance/transfer-leadership", '{"targetID":123}'),
  post("alarm get", "/v3/maintenance/alarm", '{"action":"GET","memberID":0,"alarm":"NONE"}'),
  post("alarm raise", "/v3/maintenance/alarm", '{"action":"ACTIVATE","memberID":7,"alarm":"NOSPACE"}'),
  post("put under the alarm", "/v3/kv/put", `{"key":"${b64("foo")}","value":"Mg=="}`),
  post("alarm clear", "/v3/maintenance/alarm", '{"action":"DEACTIVATE","memberID":7,"alarm":"NOSPACE"}'),
  post("election leader", "/v3/election/leader", `{"name":"${b64("nobody")}"}`),
  post("unlock nothing", "/v3/lock/unlock", `{"key":"${b64("nothing")}"}`),
  post("lock with a lease that is not", "/v3/lock/lock", `{"name":"${b64("l")}","lease":99}`),
  post("timeout too short", "/v3/kv/range", range('"limit":1'), { "Grpc-Timeout": "1n" }),
  post("timeout without a unit", "/v3/kv/range", range('"limit":1'), { "Grpc-Timeout": "5" }),
  post("timeout none", "/v3/kv/range", range('"limit":1'), { "Grpc-Timeout": "0S" }),
  post("metadata of any name", "/v3/kv/range", range('"limit":1'), { "Grpc-Metadata-X-Foo": "bar" }),
  post("authorization while auth is off", "/v3/kv/range", range('"limit":1'), { Authorization: "x.1" }),
  { name: "get", method: "GET", path: "/v3/kv/range" },
  { name: "head", method: "HEAD", path: "/v3/kv/range" },
  { name: "get nothing", method: "GET", path: "/v3/nothing" },
  { name: "options", method: "OPTIONS", path: "/v3/kv/range", headers: { Origin: "http://a.example" } },
  { name: "redirect", method: "POST", path: "/v3/./kv//range?a=b", body: "{}" },
  { name: "redirect of v3", method: "GET", path: "/v3" },
  { name: "root", method: "GET", path: "/" },
  { name: "version", method: "GET", path: "/version" },
  { name: "version by post", method: "POST", path: "/version", body: "" },
  { name: "health", method: "GET", path: "/health" },
];
