/** The client's end of a stream. */
export interface SessionPort {
  /** Sends one message of two parts. @returns whether more should be sent; `onDrain` comes when it should again */
  send(head: Uint8Array, body: Uint8Array): boolean;
  /** Ends the call with a status of gRPC's. */
  end(code: number, message: string): void;
  /** The connection that carries it; nothing where its messages have to be sent by themselves. */
  readonly fans: FanPort | undefined;
}

/** A client's connection, as far as its streams get the same messages. */
export interface FanPort {
  /** Unique among connections. */
  readonly id: number;
  /** @param onTurn called after `wake`, once the connection takes more; never from inside another method */
  openFan(onTurn: () => void): Fan;
}

/** Streams of one connection that get the same messages, in an order that their owner keeps too. */
export interface Fan {
  /** Adds a stream of this connection, as the last. */
  add(port: SessionPort): void;
  /** Two streams change places. */
  swap(a: number, b: number): void;
  /** Takes the last one out. */
  pop(): void;
  /** Asks for a turn. */
  wake(): void;
  /**
   * Sends one message of two parts to the streams from index `from` on, as far as the connection takes it. Only from
   * inside a turn.
   * @param blocked gets the indices of streams that can take nothing now: they got nothing, and are passed over
   * @returns the index of the first stream that has yet to get it
   */
  send(head: Uint8Array, body: Uint8Array, from: number, blocked: number[]): number;
}
