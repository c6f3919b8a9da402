import type { GrpcStream } from "./grpc-stream.ts";

/** Streams that have queued bytes and window, in the order of their turns (rule 40). Linked through the streams. */
export class ReadyRing {
  #first: GrpcStream | undefined = undefined;
  #last: GrpcStream | undefined = undefined;

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  /** Appends a stream unless it stands in the ring already. */
  push(stream: GrpcStream): void {
    if (stream.isReady) return;
    stream.isReady = true;
    stream.nextReady = undefined;
    if (this.#last === undefined) this.#first = stream;
    else this.#last.nextReady = stream;
    this.#last = stream;
  }

  /** Takes the stream whose turn it is. */
  shift(): GrpcStream | undefined {
    const stream = this.#first;
    if (stream === undefined) return undefined;
    this.#first = stream.nextReady;
    if (this.#first === undefined) this.#last = undefined;
    stream.nextReady = undefined;
    stream.isReady = false;
    return stream;
  }
}
