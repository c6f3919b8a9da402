import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/** A socket that goes nowhere: keeps what is written, with a kernel that takes it at once. */
class FakeSocket extends Duplex {
  readonly written: Buffer[] = [];
  readonly remoteAddress = "127.0.0.1";
  readonly remotePort = 1;

  override _read(): void {
    // Input is fed to the connection by hand.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(Buffer.from(chunk));
    done();
  }
}

/** What a connection needs of a socket, and what it wrote. */
export function createFakeSocket(): { readonly socket: Socket; readonly written: Buffer[] } {
  const fake = new FakeSocket();
  return { socket: fake as unknown as Socket, written: fake.written };
}
