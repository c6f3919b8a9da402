import type { TransportCounters } from "../counters.ts";
import { ErrorCode } from "./constants.ts";
import { Keepalive, type KeepaliveOptions } from "./keepalive.ts";
import type { ConnectionLimits } from "./limits.ts";

/** What the watchdog looks at. */
export interface Signs {
  /** The peer's SETTINGS arrived. */
  readonly isEstablished: boolean;
  /** Our SETTINGS were acknowledged. */
  readonly peerKnowsSettings: boolean;
  /** For how long a header block has been unfinished; 0 when none is. */
  readonly headerBlockAgeMs: number;
  /** Bytes that the kernel has not taken. */
  readonly inFlightBytes: number;
  readonly hasStreams: boolean;
}

/** What is to be done about a connection. */
export type Verdict =
  | { readonly t: "fine" }
  /** Send a PING. */
  | { readonly t: "ask" }
  /** End it with GOAWAY. */
  | { readonly t: "fail"; readonly code: number; readonly message: string }
  /** It would not take even that. */
  | { readonly t: "destroy"; readonly reason: string };

/** Finds what takes too long on one connection. Asked now and then; keeps no timer of its own. */
export class Watchdog {
  readonly #limits: ConnectionLimits;
  readonly #counters: TransportCounters;
  readonly #keepalive: Keepalive;
  readonly #openedAt = performance.now();
  #writtenAt = this.#openedAt;

  constructor(limits: ConnectionLimits, keepalive: KeepaliveOptions, counters: TransportCounters) {
    this.#limits = limits;
    this.#counters = counters;
    this.#keepalive = new Keepalive(keepalive);
  }

  /** Bytes came from the peer. */
  onReceived(): void {
    this.#keepalive.lastReceivedAt = performance.now();
  }

  /** The kernel took bytes. */
  onWritten(): void {
    this.#writtenAt = performance.now();
  }

  /** @param now performance.now() */
  check(now: number, signs: Signs): Verdict {
    const { handshakeTimeoutMs, settingsAckTimeoutMs, headerTimeoutMs, writeStallTimeoutMs } = this.#limits;
    const ageMs = now - this.#openedAt;
    if (!signs.isEstablished && ageMs > handshakeTimeoutMs) {
      this.#counters.handshakeTimeouts++;
      return { t: "fail", code: ErrorCode.settingsTimeout, message: "no SETTINGS in time" };
    }
    // Until the peer knows our SETTINGS, its windows and ours may differ: that must not last (RFC 9113, 6.5.3).
    if (settingsAckTimeoutMs > 0 && !signs.peerKnowsSettings && ageMs > settingsAckTimeoutMs) {
      this.#counters.settingsAckTimeouts++;
      const message = "SETTINGS were not acknowledged in time";
      return { t: "fail", code: ErrorCode.settingsTimeout, message };
    }
    if (signs.headerBlockAgeMs > headerTimeoutMs) {
      this.#counters.continuationFloods++;
      const message = "header block unfinished for too long";
      return { t: "fail", code: ErrorCode.enhanceYourCalm, message };
    }
    if (signs.inFlightBytes === 0) this.#writtenAt = now;
    if (writeStallTimeoutMs > 0 && now - this.#writtenAt > writeStallTimeoutMs) {
      this.#counters.writeStalls++;
      return { t: "destroy", reason: "peer takes no bytes" };
    }
    return this.#checkSilence(now, signs.hasStreams);
  }

  #checkSilence(now: number, hasStreams: boolean): Verdict {
    const due = this.#keepalive.tick(now, hasStreams);
    switch (due) {
      case "ping":
        return { t: "ask" };
      case "dead":
        this.#counters.keepaliveTimeouts++;
        return { t: "destroy", reason: "keepalive timeout" };
      case "wait":
        return FINE;
      default:
        return due satisfies never;
    }
  }
}

const FINE: Verdict = { t: "fine" };
