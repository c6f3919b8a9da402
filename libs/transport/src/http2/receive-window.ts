import { DEFAULT_WINDOW, ErrorCode } from "./constants.ts";
import { Http2Error } from "./http2-error.ts";

/**
 * What the peer may still send on the whole connection. Credit goes back on receipt, whoever is slow (rule 40); in
 * halves of the window, to save frames.
 */
export class ReceiveWindow {
  /** By how much the window is to be raised at the start: it begins at the default, whatever SETTINGS say (RFC 9113, 6.9.2). */
  readonly growth: number;
  readonly #bytes: number;
  #left: number;
  #uncredited = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.growth = Math.max(0, bytes - DEFAULT_WINDOW);
    this.#left = DEFAULT_WINDOW + this.growth;
  }

  /**
   * Takes received bytes off.
   *
   * @returns the credit to send now, often 0
   * @throws Http2Error when the peer had no right to send them
   */
  take(bytes: number): number {
    this.#left -= bytes;
    if (this.#left < 0) throw new Http2Error(ErrorCode.flowControlError, "connection window exceeded");
    this.#uncredited += bytes;
    if (this.#uncredited * 2 < this.#bytes) return 0;
    const credit = this.#uncredited;
    this.#left += credit;
    this.#uncredited = 0;
    return credit;
  }
}
