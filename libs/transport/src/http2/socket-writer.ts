import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { TransportCounters } from "../counters.ts";
import { Output, releaseChunk } from "./output.ts";

/** Most bytes given to a socket ahead of what the kernel has taken (rule 40). */
export const WRITE_AHEAD_BYTES: number = 256 * 1024;

/** What the owner of a writer does around its writes. */
export interface WriterOwner {
  /** Called before a write: the last chance to add frames to the output. */
  onBeforeWrite(): void;
  /** Bytes were handed to the socket. */
  onHandedOver(): void;
  /** The kernel took a write. */
  onWritten(): void;
}

/** Writers with something to write in this turn. One immediate serves them all, after the turn's reads. */
let due: SocketWriter[] = [];

/**
 * Who has only answers to pings to write waits one turn more: a write wakes the peer, and grpc-go pings with nearly
 * every answer, so the write that a client waits for would come second.
 */
function writeDue(): void {
  const writers = due;
  due = [];
  for (const writer of writers) {
    if (writer.isUrgent) {
      writer.flush();
    } else {
      writer.isUrgent = true;
      enqueue(writer);
    }
  }
}

function enqueue(writer: SocketWriter): void {
  if (due.length === 0) setImmediate(writeDue);
  due.push(writer);
}

/** Gathers the frames of one connection, and writes them once per turn of the event loop. */
export class SocketWriter {
  readonly output: Output = new Output();
  /** Bytes handed to the socket that the kernel has not taken. */
  inFlightBytes = 0;
  /** Whether what is collected is to be written in this turn. */
  isUrgent = false;
  readonly #socket: Duplex;
  readonly #owner: WriterOwner;
  readonly #counters: TransportCounters;
  #isDue = false;
  #isEnded = false;

  constructor(socket: Duplex, owner: WriterOwner, counters: TransportCounters) {
    this.#socket = socket;
    this.#owner = owner;
    this.#counters = counters;
  }

  /** Bytes collected or in flight: what a stream must not run ahead of. */
  get aheadBytes(): number {
    return this.output.length + this.inFlightBytes;
  }

  /** Asks for a write at the end of this turn. */
  schedule(): void {
    this.isUrgent = true;
    this.scheduleLater();
  }

  /** Asks for a write at the end of the next turn, or with the next that is asked for. */
  scheduleLater(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    enqueue(this);
  }

  /** Writes now what was collected. */
  flush(): void {
    this.#isDue = false;
    this.isUrgent = false;
    if (this.#isEnded) return;
    this.#owner.onBeforeWrite();
    if (this.output.length === 0) return;
    this.#owner.onHandedOver();
    this.#counters.socketWrites++;
    this.#counters.bytesSent += this.output.length;
    const split = this.output.isSplit;
    if (split) this.#socket.cork();
    this.output.take(this.#write);
    if (split) this.#socket.uncork();
  }

  /** Writes what was collected and closes our side; nothing can be written after. */
  end(): void {
    this.flush();
    this.#isEnded = true;
    this.#socket.end();
  }

  /** Drops what was collected; nothing can be written after. */
  drop(): void {
    this.#isEnded = true;
    this.output.take(releaseChunk);
  }

  readonly #write = (chunk: Buffer, length: number): void => {
    this.inFlightBytes += length;
    this.#socket.write(chunk.subarray(0, length), (error) => {
      this.inFlightBytes -= length;
      // After an error the kernel may still look at the chunk: let it go to the garbage collector.
      if (error) return;
      releaseChunk(chunk);
      this.#owner.onWritten();
    });
  };
}
