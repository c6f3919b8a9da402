/** How a relay treats what passes through it. */
export interface RelayWeather {
  /** Every chunk is held this long, in order; a number between the two for each. Default none. */
  readonly delayMs?: readonly [number, number];
  /** Nothing passes, in either direction; what comes is kept, and new connections are accepted. */
  readonly isPartitioned?: boolean;
  /**
   * Of 100 chunks so many are lost, sent twice, or sent behind the next one. A byte stream that this happens to is not
   * one any more: TCP itself never does it. What it tests is that damaged bytes end a connection and never become
   * an answer or an event.
   */
  readonly dropPercent?: number;
  readonly duplicatePercent?: number;
  readonly reorderPercent?: number;
  /**
   * Every so many pieces of a kind (chunks, where nothing cuts them) one is lost, counted from here on for each connection:
   * for who must be certain that something is lost, with more of its kind in front of it and behind it. Default: none.
   */
  readonly dropEvery?: number;
}
