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
 * Writes at once what was collected in this turn, on all connections. For who knows that the turn's work is done before the
 * immediate that would do it comes: from inside another immediate that would be a turn later.
 */
export function writeDue(): void {
  const writers = due;
  due = [];
  for (const writer of writers) writer.flush();
}

/**
 * How long what is in no hurry waits for a write that it can go along with. RFC 9113 (section 6.7) would have answers to
 * PINGs come first; but grpc-go pings with nearly every message, to measure bandwidth, and a write for each costs both
 * sides a system call and takes the processor from the call that is waited for.
 */
const PATIENCE_MS = 1;
/** Writers with only such to write. One timer serves them all. */
let patient: SocketWriter[] = [];

function writePatient(): void {
  const writers = patient;
  patient = [];
  for (const writer of writers) writer.endPatience();
}

/** Gathers the frames of one connection, and writes them once per turn of the event loop. */
export class SocketWriter {
  readonly output: Output = new Output();
  /** Bytes handed to the socket that the kernel has not taken. */
  inFlightBytes = 0;
  readonly #socket: Duplex;
  readonly #owner: WriterOwner;
  readonly #counters: TransportCounters;
  #isDue = false;
  #isPatient = false;
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
    if (this.#isDue) return;
    this.#isDue = true;
    if (due.length === 0) setImmediate(writeDue);
    due.push(this);
  }

  /** Asks for a write within a millisecond or two, or along with the next. */
  scheduleLater(): void {
    if (this.#isDue || this.#isPatient) return;
    this.#isPatient = true;
    if (patient.length === 0) setTimeout(writePatient, PATIENCE_MS).unref();
    patient.push(this);
  }

  /** Nothing came along: what is collected is written now. */
  endPatience(): void {
    this.#isPatient = false;
    this.flush();
  }

  /** Writes now what was collected. */
  flush(): void {
    this.#isDue = false;
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
