import type { TransportCounters } from "../counters.ts";
import { ErrorCode } from "./constants.ts";
import { FloodGuard } from "./flood-guard.ts";
import { Http2Error } from "./http2-error.ts";
import type { ConnectionLimits } from "./limits.ts";

/** A WINDOW_UPDATE below this may be a flood. */
const TINY_INCREMENT = 32;
/** A window below this is one that we wait for: grants by the byte then make us send in crumbs. */
const AMPLE_WINDOW = 16 * 1024;

/** What a peer may do only so often. Each method counts one deed and throws Http2Error when it was one too many. */
export class FloodGuards {
  readonly #counters: TransportCounters;
  readonly #resets: FloodGuard;
  readonly #settings: FloodGuard;
  readonly #pings: FloodGuard;
  readonly #emptyFrames: FloodGuard;
  readonly #windowUpdates: FloodGuard;
  #callFramesAtPing = 0;
  /** Tiny updates of ample windows so far. */
  #returns = 0;

  constructor(limits: ConnectionLimits, counters: TransportCounters) {
    this.#counters = counters;
    this.#resets = new FloodGuard(limits.resetFlood);
    this.#settings = new FloodGuard(limits.settingsFlood);
    this.#pings = new FloodGuard(limits.pingFlood);
    this.#emptyFrames = new FloodGuard(limits.emptyFrameFlood);
    this.#windowUpdates = new FloodGuard(limits.windowUpdateFlood);
  }

  /** A stream was reset, by the peer or because of it (rapid reset). */
  onReset(): void {
    if (this.#resets.take(performance.now())) return;
    this.#counters.resetFloods++;
    throw new Http2Error(ErrorCode.enhanceYourCalm, "too many streams reset");
  }

  onSettings(): void {
    if (this.#settings.take(performance.now())) return;
    this.#counters.settingsFloods++;
    throw new Http2Error(ErrorCode.enhanceYourCalm, "too many SETTINGS");
  }

  /**
   * grpc-go measures the path by a PING for every burst of data it gets, which can be thousands a second: a flood is
   * what comes without our sending anything.
   *
   * @param callFrames how many frames for calls we have sent so far
   */
  onPing(callFrames: number): void {
    const isProvoked = callFrames !== this.#callFramesAtPing;
    this.#callFramesAtPing = callFrames;
    if (isProvoked || this.#pings.take(performance.now())) return;
    this.#counters.pingFloods++;
    throw new Http2Error(ErrorCode.enhanceYourCalm, "too_many_pings");
  }

  /** A frame that does nothing for anybody. */
  onEmptyFrame(): void {
    if (this.#emptyFrames.take(performance.now())) return;
    this.#counters.emptyFrameFloods++;
    throw new Http2Error(ErrorCode.enhanceYourCalm, "too many frames without use");
  }

  /**
   * grpc-go gives back the connection's window, however little of it was used, with each PING by which it measures the
   * path: a few bytes for every small call. While the window is ample, that many updates as we sent frames are no flood.
   *
   * @param window what there was before the update
   * @param callFrames how many frames for calls we have sent so far
   */
  onWindowUpdate(increment: number, window: number, callFrames: number): void {
    if (increment >= TINY_INCREMENT) return;
    if (window >= AMPLE_WINDOW && this.#returns < callFrames) {
      this.#returns++;
      return;
    }
    if (this.#windowUpdates.take(performance.now())) return;
    this.#counters.windowUpdateFloods++;
    throw new Http2Error(ErrorCode.enhanceYourCalm, "too many tiny WINDOW_UPDATE frames");
  }
}
