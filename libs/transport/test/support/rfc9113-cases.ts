import { Buffer } from "node:buffer";
import { CLIENT_PREFACE, ErrorCode, FrameType } from "../../src/http2/constants.ts";
import {
  block,
  data,
  frame,
  goaway,
  headers,
  message,
  type Pairs,
  ping,
  requestHeaders,
  rst,
  settings,
  u32,
  unaryRequest,
  windowUpdate,
} from "./frames.ts";

type Expected =
  /** The connection ends with this code. */
  | { readonly goaway: number }
  /** This stream is reset, and the connection goes on. */
  | { readonly reset: number; readonly code: number }
  /** Nothing happens: a PING is answered afterwards. */
  | "ignored"
  /** The request on this stream is answered. */
  | { readonly answered: number };

interface Case {
  readonly section: string;
  readonly what: string;
  readonly send: readonly Buffer[];
  readonly expected: Expected;
  /** What is sent instead of preface and SETTINGS. */
  readonly opening?: readonly Buffer[];
}

const without = (name: string): Pairs => requestHeaders.filter(([key]) => key !== name);
const plus = (...pairs: Pairs): Pairs => [...requestHeaders, ...pairs];
const C = ErrorCode;
const T = FrameType;
const requestBlock = block(requestHeaders);
const padded = (type: number, flags: number, padLength: number, body: Buffer, padding: number): Buffer =>
  frame(type, flags | 8, 1, Buffer.concat([Buffer.of(padLength), body, Buffer.alloc(padding)]));

/**
 * What RFC 9113 and RFC 7541 ask of a server, case by case. Stands in for h2spec where that cannot be built, and goes
 * beyond it in places.
 */
export const cases: readonly Case[] = [
  {
    section: "3.4",
    what: "preface and SETTINGS, then a request",
    send: [unaryRequest(1)],
    expected: { answered: 1 },
  },
  {
    section: "3.4",
    what: "first frame is not SETTINGS",
    opening: [CLIENT_PREFACE],
    send: [ping()],
    expected: { goaway: C.protocolError },
  },
  {
    section: "4.1",
    what: "frame of unknown type",
    send: [frame(0xfa, 0xff, 0, Buffer.alloc(10))],
    expected: "ignored",
  },
  {
    section: "4.1",
    what: "undefined flags",
    send: [frame(T.ping, 0xfe, 0, Buffer.alloc(8))],
    expected: "ignored",
  },
  {
    section: "4.1",
    what: "reserved bit set",
    send: [frame(T.ping, 0, 0x8000_0000, Buffer.alloc(8))],
    expected: "ignored",
  },
  {
    section: "4.2",
    what: "DATA above 16384 bytes",
    send: [headers(1), data(1, Buffer.alloc(16_385))],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "4.2",
    what: "HEADERS above 16384 bytes",
    send: [frame(T.headers, 4, 1, Buffer.alloc(16_385))],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "4.2",
    what: "DATA of exactly 16384 bytes",
    send: [headers(1), data(1, message(Buffer.alloc(16_379)), true)],
    expected: { answered: 1 },
  },
  {
    section: "4.3",
    what: "header block that is not HPACK",
    send: [frame(T.headers, 5, 1, Buffer.of(0x80))],
    expected: { goaway: C.compressionError },
  },
  {
    section: "4.3",
    what: "PRIORITY inside a header block",
    send: [frame(T.headers, 0, 1, requestBlock), frame(T.priority, 0, 3, Buffer.alloc(5))],
    expected: { goaway: C.protocolError },
  },
  {
    section: "4.3",
    what: "HEADERS of another stream inside a header block",
    send: [frame(T.headers, 0, 1, requestBlock), headers(3)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "4.3",
    what: "DATA inside a header block",
    send: [frame(T.headers, 0, 1, requestBlock), data(1, "")],
    expected: { goaway: C.protocolError },
  },
  {
    section: "4.3",
    what: "unknown type inside a header block",
    send: [frame(T.headers, 0, 1, requestBlock), frame(0xfa, 0, 0)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "5.1",
    what: "DATA on an idle stream",
    send: [data(1, "x")],
    expected: { goaway: C.protocolError },
  },
  {
    section: "5.1",
    what: "RST_STREAM on an idle stream",
    send: [rst(1, C.cancel)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "5.1",
    what: "WINDOW_UPDATE on an idle stream",
    send: [windowUpdate(1, 100)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "5.1",
    what: "CONTINUATION on an idle stream",
    send: [frame(T.continuation, 4, 1, requestBlock)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "5.1",
    what: "PRIORITY on an idle stream",
    send: [frame(T.priority, 0, 1, u32(0, 0).subarray(0, 5))],
    expected: "ignored",
  },
  {
    section: "5.1",
    what: "DATA after END_STREAM, not yet answered",
    send: [headers(1, [[":path", "/hang"], ...without(":path")], true), data(1, "x")],
    expected: { reset: 1, code: C.streamClosed },
  },
  {
    section: "5.1",
    what: "DATA after both sides ended",
    send: [unaryRequest(1), ping("aaaaaaaa"), data(1, "x")],
    expected: { goaway: C.streamClosed },
  },
  {
    section: "5.1",
    what: "HEADERS after both sides ended",
    send: [unaryRequest(1), headers(1)],
    expected: { goaway: C.streamClosed },
  },
  {
    section: "5.1",
    what: "DATA after RST_STREAM",
    send: [headers(1), rst(1, C.cancel), data(1, "x")],
    expected: { reset: 1, code: C.streamClosed },
  },
  {
    section: "5.1",
    what: "HEADERS after RST_STREAM",
    send: [headers(1), rst(1, C.cancel), headers(1)],
    expected: { reset: 1, code: C.streamClosed },
  },
  {
    section: "5.1",
    what: "WINDOW_UPDATE and RST_STREAM after both sides ended",
    send: [unaryRequest(1), windowUpdate(1, 10), rst(1, C.cancel)],
    expected: "ignored",
  },
  {
    section: "5.1.1",
    what: "even stream identifier",
    send: [headers(2)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "5.1.1",
    what: "identifier below the last",
    send: [headers(5), headers(3)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "5.1.1",
    what: "identifiers may skip",
    send: [headers(1), unaryRequest(77)],
    expected: { answered: 77 },
  },
  {
    section: "5.3.1",
    what: "HEADERS that depend on themselves",
    send: [frame(T.headers, 0x24, 1, Buffer.concat([u32(1), Buffer.of(0), requestBlock]))],
    expected: { goaway: C.protocolError },
  },
  {
    section: "5.3.1",
    what: "PRIORITY that depends on itself",
    send: [headers(1), frame(T.priority, 0, 1, Buffer.concat([u32(1), Buffer.of(0)]))],
    expected: { reset: 1, code: C.protocolError },
  },
  { section: "6.1", what: "DATA on stream 0", send: [data(0, "x")], expected: { goaway: C.protocolError } },
  {
    section: "6.1",
    what: "DATA with padding",
    send: [headers(1), padded(T.data, 1, 3, message("hi"), 3)],
    expected: { answered: 1 },
  },
  {
    section: "6.1",
    what: "DATA whose padding is the whole frame",
    send: [headers(1), padded(T.data, 1, 6, Buffer.alloc(5), 0)],
    expected: { goaway: C.protocolError },
  },
  { section: "6.2", what: "HEADERS on stream 0", send: [headers(0)], expected: { goaway: C.protocolError } },
  {
    section: "6.2",
    what: "HEADERS with padding and priority",
    send: [
      frame(
        T.headers,
        0x2c,
        1,
        Buffer.concat([Buffer.of(4), u32(0), Buffer.of(15), requestBlock, Buffer.alloc(4)]),
      ),
      data(1, message("x"), true),
    ],
    expected: { answered: 1 },
  },
  {
    section: "6.2",
    what: "HEADERS whose padding exceeds the frame",
    send: [padded(T.headers, 4, 200, requestBlock, 0)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.2",
    what: "padded HEADERS without a pad length",
    send: [frame(T.headers, 0xc, 1)],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "6.2",
    what: "HEADERS too short for their priority",
    send: [frame(T.headers, 0x24, 1, Buffer.alloc(3))],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "6.3",
    what: "PRIORITY on stream 0",
    send: [frame(T.priority, 0, 0, Buffer.alloc(5))],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.3",
    what: "PRIORITY of 4 bytes on an idle stream",
    send: [frame(T.priority, 0, 1, Buffer.alloc(4))],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "6.3",
    what: "PRIORITY of 4 bytes",
    send: [headers(1), frame(T.priority, 0, 1, Buffer.alloc(4))],
    expected: { reset: 1, code: C.frameSizeError },
  },
  {
    section: "6.4",
    what: "RST_STREAM on stream 0",
    send: [rst(0, C.cancel)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.4",
    what: "RST_STREAM of 3 bytes",
    send: [headers(1), frame(T.rstStream, 0, 1, Buffer.alloc(3))],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "6.5",
    what: "SETTINGS on a stream",
    send: [frame(T.settings, 0, 1)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.5",
    what: "SETTINGS of 5 bytes",
    send: [frame(T.settings, 0, 0, Buffer.alloc(5))],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "6.5",
    what: "SETTINGS ACK with payload",
    send: [frame(T.settings, 1, 0, Buffer.alloc(6))],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "6.5.2",
    what: "ENABLE_PUSH of 2",
    send: [settings([2, 2])],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.5.2",
    what: "INITIAL_WINDOW_SIZE above the maximum",
    send: [settings([4, 0x8000_0000])],
    expected: { goaway: C.flowControlError },
  },
  {
    section: "6.5.2",
    what: "MAX_FRAME_SIZE of 16383",
    send: [settings([5, 16_383])],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.5.2",
    what: "MAX_FRAME_SIZE of 2^24",
    send: [settings([5, 16_777_216])],
    expected: { goaway: C.protocolError },
  },
  { section: "6.5.2", what: "unknown setting", send: [settings([0xabcd, 1])], expected: "ignored" },
  {
    section: "6.6",
    what: "PUSH_PROMISE from a client",
    send: [frame(T.pushPromise, 4, 1, u32(2))],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.7",
    what: "PING on a stream",
    send: [frame(T.ping, 0, 1, Buffer.alloc(8))],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.7",
    what: "PING of 7 bytes",
    send: [frame(T.ping, 0, 0, Buffer.alloc(7))],
    expected: { goaway: C.frameSizeError },
  },
  { section: "6.7", what: "PING ACK is not answered", send: [ping("abcdefgh", 1)], expected: "ignored" },
  {
    section: "6.8",
    what: "GOAWAY on a stream",
    send: [frame(T.goaway, 0, 1, Buffer.alloc(8))],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.8",
    what: "GOAWAY of 7 bytes",
    send: [frame(T.goaway, 0, 0, Buffer.alloc(7))],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "6.8",
    what: "calls go on after GOAWAY",
    send: [headers(1), goaway(0, C.noError), data(1, message("x"), true)],
    expected: { answered: 1 },
  },
  {
    section: "6.9",
    what: "WINDOW_UPDATE of 0 on the connection",
    send: [windowUpdate(0, 0)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.9",
    what: "WINDOW_UPDATE of 0 on a stream",
    send: [headers(1), windowUpdate(1, 0)],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "6.9",
    what: "WINDOW_UPDATE of 3 bytes",
    send: [frame(T.windowUpdate, 0, 0, Buffer.alloc(3))],
    expected: { goaway: C.frameSizeError },
  },
  {
    section: "6.9.1",
    what: "connection window overflows",
    send: [windowUpdate(0, 0x7fff_ffff), windowUpdate(0, 0x7fff_ffff)],
    expected: { goaway: C.flowControlError },
  },
  {
    section: "6.9.1",
    what: "stream window overflows",
    send: [headers(1), windowUpdate(1, 0x7fff_ffff)],
    expected: { reset: 1, code: C.flowControlError },
  },
  {
    section: "6.9.2",
    what: "a setting makes a stream window overflow",
    send: [headers(1), windowUpdate(1, 0x7fff_0000), settings([4, 0x7fff_ffff])],
    expected: { goaway: C.flowControlError },
  },
  {
    section: "6.10",
    what: "block over three frames",
    send: [
      frame(T.headers, 0, 1, requestBlock.subarray(0, 9)),
      frame(T.continuation, 0, 1, requestBlock.subarray(9, 30)),
      frame(T.continuation, 4, 1, requestBlock.subarray(30)),
      data(1, message("x"), true),
    ],
    expected: { answered: 1 },
  },
  {
    section: "6.10",
    what: "CONTINUATION after END_HEADERS",
    send: [headers(1), frame(T.continuation, 4, 1, requestBlock)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.10",
    what: "CONTINUATION of another stream",
    send: [frame(T.headers, 0, 1, requestBlock), frame(T.continuation, 4, 3)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "6.10",
    what: "CONTINUATION on stream 0",
    send: [frame(T.headers, 0, 1, requestBlock), frame(T.continuation, 4, 0)],
    expected: { goaway: C.protocolError },
  },
  {
    section: "8.1",
    what: "second HEADERS without END_STREAM",
    send: [headers(1), headers(1, [["x-a", "b"]])],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.1",
    what: "request trailers",
    send: [headers(1), data(1, message("x")), headers(1, [["x-a", "b"]], true)],
    expected: { answered: 1 },
  },
  {
    section: "8.1",
    what: "pseudo-header in trailers",
    send: [headers(1), headers(1, [[":path", "/"]], true)],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.1.1",
    what: "content-length that is right",
    send: [headers(1, plus(["content-length", "6"])), data(1, message("x"), true)],
    expected: { answered: 1 },
  },
  {
    section: "8.1.1",
    what: "content-length too small",
    send: [headers(1, plus(["content-length", "5"])), data(1, message("x"), true)],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.1.1",
    what: "content-length too large",
    send: [headers(1, plus(["content-length", "7"])), data(1, message("x"), true)],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.1.1",
    what: "content-length without data",
    send: [headers(1, plus(["content-length", "7"]), true)],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.1.1",
    what: "content-length that is no number",
    send: [headers(1, plus(["content-length", "+1"]))],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.2.1",
    what: "upper case in a name",
    send: [headers(1, plus(["X-A", "b"]))],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.2.1",
    what: "space in a name",
    send: [headers(1, plus(["x a", "b"]))],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.2.1",
    what: "line feed in a value",
    send: [headers(1, plus(["x-a", "b\nc"]))],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.2.1",
    what: "NUL in a value",
    send: [headers(1, plus(["x-a", "b\0c"]))],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.2.1",
    what: "blank at the end of a value",
    send: [headers(1, plus(["x-a", "b "]))],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.2.1",
    what: "empty name",
    send: [headers(1, plus(["", "b"]))],
    expected: { reset: 1, code: C.protocolError },
  },
  ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].map(
    (name): Case => ({
      section: "8.2.2",
      what: name,
      send: [headers(1, plus([name, "x"]))],
      expected: { reset: 1, code: C.protocolError },
    }),
  ),
  {
    section: "8.2.2",
    what: "te other than trailers",
    send: [headers(1, [...without("te"), ["te", "gzip"]])],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.3",
    what: "unknown pseudo-header",
    send: [headers(1, [[":x", "y"], ...requestHeaders])],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.3",
    what: "pseudo-header of responses",
    send: [headers(1, [[":status", "200"], ...requestHeaders])],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.3",
    what: "pseudo-header after a regular one",
    send: [headers(1, [["x-a", "b"], ...requestHeaders])],
    expected: { reset: 1, code: C.protocolError },
  },
  ...[":method", ":scheme", ":path"].map(
    (name): Case => ({
      section: "8.3.1",
      what: `no ${name}`,
      send: [headers(1, without(name))],
      expected: { reset: 1, code: C.protocolError },
    }),
  ),
  {
    section: "8.3.1",
    what: "empty :path",
    send: [headers(1, [[":path", ""], ...without(":path")])],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "8.3.1",
    what: ":path twice",
    send: [headers(1, [[":path", "/a"], ...requestHeaders])],
    expected: { reset: 1, code: C.protocolError },
  },
  {
    section: "7541 4.2",
    what: "size update in the middle of a block",
    send: [frame(T.headers, 5, 1, Buffer.concat([requestBlock, Buffer.of(0x20)]))],
    expected: { goaway: C.compressionError },
  },
  {
    section: "7541 6.3",
    what: "size update above our limit",
    send: [frame(T.headers, 5, 1, Buffer.of(0x3f, 0xe2, 0x1f))],
    expected: { goaway: C.compressionError },
  },
];
