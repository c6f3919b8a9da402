import type { Socket } from "node:net";
import type { Rpc } from "@etcd-edge/proto";
import { answerText } from "../door/answer-text.ts";
import type { DoorOptions } from "../door/http-door.ts";
import { emptyRequest, type Request, readSingleRequest } from "../door/request-source.ts";
import { findRoute } from "../door/routes.ts";
import type { FrontRules } from "../front/front.ts";
import { BodyValues } from "../http/body-values.ts";
import { type CallStyle, readCallStyle } from "../http/call-style.ts";
import { toFailedAnswer } from "../http/failed-answer.ts";
import { isUnforeseen, toFailure } from "../http/failure.ts";
import { type CallHeaders, toCallHeaders } from "../http/request-metadata.ts";
import { type JsonProfile, unaryStyle } from "../profile/json-profile.ts";
import { RangePages } from "../range/range-pages.ts";
import { LaneAnswers } from "./lane-answer.ts";
import type { LaneRequest, LaneRoute } from "./lane-connection.ts";
import { type PlainHead, readPlainHead } from "./plain-head.ts";

export interface LaneDoorOptions {
  readonly door: DoorOptions;
  readonly front: FrontRules;
  readonly keepAliveTimeoutMs: number;
  /** A call came. @returns what to call with the status of the answer, or nothing where the client left before */
  readonly observe: (route: string) => (status: number | undefined) => void;
}

/** A call with one request and one answer, as far as its head says. */
interface DoorRoute extends LaneRoute {
  readonly rpc: Rpc;
  readonly baseHeaders: readonly string[];
  readonly style: CallStyle;
  /** What travels upstream; nothing where it hangs on the connection, too. */
  readonly callHeaders: CallHeaders | undefined;
}

/** The calls of the JSON door that come through the lane: unary ones, answered in one piece. */
export interface LaneDoor {
  readRoute(bytes: Buffer): DoorRoute | undefined;
  serve(request: LaneRequest<DoorRoute>): void;
}

/** What is to be done for a request, once its body is read. */
type Outcome =
  | { readonly t: "call"; readonly request: Request }
  | { readonly t: "refuse"; readonly error: unknown }
  /** An answer in pages goes out in parts, and more slowly than it is read: not here. */
  | { readonly t: "decline" };

export function createLaneDoor(options: LaneDoorOptions): LaneDoor {
  const { door, front, keepAliveTimeoutMs, observe } = options;
  const answers = new LaneAnswers(Date.now);

  const serve = async (lane: LaneRequest<DoorRoute>): Promise<void> => {
    const { route, presence } = lane;
    const { rpc, baseHeaders, style, head } = route;
    const known = door.profile();
    const profile = known instanceof Promise ? await known : known;
    const outcome = readOutcome(door, { rpc, profile, style }, lane.body);
    if (outcome.t === "decline" || presence.isGone) return lane.decline();
    const onEnd = observe(head.path);
    let status: number | undefined;
    const end = { isLast: head.isLast, keepAliveTimeoutMs };
    try {
      const admission = door.limits.admit({ socket: lane.socket, headers: head.headers });
      if (admission !== undefined) await admission;
      if (outcome.t === "refuse") throw outcome.error;
      const { metadata: sent, timeoutMs } = route.callHeaders ?? readCallHeaders(head, lane.socket);
      const call = { rpc, presence, metadata: sent, timeoutMs };
      const { message, headers: metadata } = await door.upstream.unary(call, outcome.request.bytes);
      const text = answerText(rpc, message, unaryStyle(profile, style.bytes));
      const { bytes, isLast } = answers.unary(text, { base: baseHeaders, metadata, end });
      status = presence.isGone ? undefined : 200;
      lane.answer(bytes, isLast);
    } catch (error) {
      if (presence.isGone) return;
      if (isUnforeseen(error)) door.report(error);
      const asked = { profile, baseHeaders, requestHeaders: head.headers };
      const failed = toFailedAnswer(toFailure(error), "unary", asked);
      const { bytes, isLast } = answers.failed(failed, end);
      ({ status } = failed);
      lane.answer(bytes, isLast);
    } finally {
      onEnd(status);
    }
  };

  const readCallHeaders = ({ rawHeaders }: PlainHead, socket: Socket | undefined): CallHeaders =>
    toCallHeaders(rawHeaders, {
      forwardAll: door.forwardAllHeaders,
      peerAddress: socket?.remoteAddress,
    });

  return {
    readRoute: (bytes) => {
      const head = readPlainHead(bytes);
      if (head === undefined || head.contentLength > door.maxBodyBytes) return undefined;
      const rpc = findRoute(head.path);
      if (rpc?.kind !== "unary") return undefined;
      if (front.hostWhitelist?.allows(head.headers["host"]) === false) return undefined;
      return {
        head,
        rpc,
        baseHeaders: front.cors(undefined),
        style: readCallStyle(head.headers, ""),
        callHeaders: door.forwardAllHeaders ? undefined : readCallHeaders(head, undefined),
      };
    },
    serve: (request) => {
      serve(request).catch((error: unknown) => {
        door.report(error);
        request.socket.destroy();
      });
    },
  };
}

function readOutcome(
  door: DoorOptions,
  meant: { readonly rpc: Rpc; readonly profile: JsonProfile; readonly style: CallStyle },
  body: Buffer,
): Outcome {
  try {
    const request = door.requestMemo.find(meant, body) ?? readRequest(door, meant, body);
    return RangePages.of(request.message, door.pageSizes) === undefined
      ? { t: "call", request }
      : { t: "decline" };
  } catch (error) {
    return { t: "refuse", error };
  }
}

/** What stands behind the first value of a body is never looked at. */
function readRequest(
  { maxBodyBytes, jsonLimits, requestMemo }: DoorOptions,
  meant: { readonly rpc: Rpc; readonly profile: JsonProfile; readonly style: CallStyle },
  body: Buffer,
): Request {
  const values = new BodyValues(maxBodyBytes, jsonLimits);
  if (body.length > 0) values.push(body);
  let found = values.next();
  if (found.t === "more") {
    values.finish();
    found = values.next();
  }
  return found.t === "value" ? readSingleRequest(found.value, meant, requestMemo) : emptyRequest(meant.rpc);
}
