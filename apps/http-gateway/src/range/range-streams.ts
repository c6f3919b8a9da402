import { GrpcStatus, rpcOf } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { asBuffer, malformed, WireCursor } from "../json/wire.ts";
import { type Upstream, type UpstreamCall, UpstreamError } from "../upstream/upstream.ts";

const rangeStream = rpcOf("/etcdserverpb.KV/RangeStream");

/** How long an upstream without RangeStream is believed to have none; upgrades of etcd show within this time. */
const lackingMs = 60_000;
const rangeResponseTag = 0x0a;

/** Whether the upstream has RangeStream (etcd 3.7, or a grpc-proxy in front of any), found out by trying. */
export class RangeStreams {
  readonly #clock: Clock;
  #lackingUntilMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get areWorthTrying(): boolean {
    return this.#clock.nowMs() >= this.#lackingUntilMs;
  }

  /**
   * The RangeResponses of a stream, as bytes, as they come: keys, and header and count with the last. Whoever stops early cancels it.
   * @param request a RangeRequest
   * @throws UpstreamError where it cannot be had, or breaks off
   */
  async *read(upstream: Upstream, call: UpstreamCall, request: Uint8Array): AsyncGenerator<Uint8Array> {
    const stream = await upstream.open({ ...call, rpc: rangeStream });
    try {
      await stream.send(request);
      stream.halfClose();
      for (;;) {
        const message = await stream.receive();
        if (message === undefined) return;
        yield toRangeResponse(message);
      }
    } catch (error) {
      if (error instanceof UpstreamError && error.status === GrpcStatus.UNIMPLEMENTED)
        this.#lackingUntilMs = this.#clock.nowMs() + lackingMs;
      throw error;
    } finally {
      stream.cancel();
    }
  }
}

/** What a RangeStreamResponse has in it: of a message that came in several parts, all of them (protobuf merges those). */
function toRangeResponse(message: Uint8Array): Uint8Array {
  const cursor = new WireCursor(asBuffer(message), 0, message.length);
  const parts: Buffer[] = [];
  while (cursor.at < cursor.end) {
    cursor.readVarint();
    if (cursor.low !== rangeResponseTag) {
      cursor.skip(cursor.low & 7);
      continue;
    }
    const end = cursor.readLength();
    parts.push(cursor.bytes.subarray(cursor.at, end));
    cursor.at = end;
  }
  const [first] = parts;
  if (first === undefined) throw malformed();
  return parts.length === 1 ? first : Buffer.concat(parts);
}
