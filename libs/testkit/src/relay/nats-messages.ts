/** A piece of a byte stream that is whole in itself. */
export interface Piece {
  readonly bytes: Buffer;
  /** Whether the stream is still sound without it, with it twice, or behind the next one. */
  readonly mayBeHarmed: boolean;
  /** What it is one of: those of a kind are one row of messages, of which a piece may be missing. */
  readonly kind: string;
}

/** Cuts a byte stream into pieces as it comes. */
export type Cutter = (chunk: Buffer) => readonly Piece[];

const lineEnd = Buffer.from("\r\n");

/**
 * Cuts what a NATS server says into its operations: a message with its payload is one piece, a line the other. Messages
 * on the subjects that `mayHarm` names may be lost, repeated and reordered by a relay, as a bus may do it; the subject is
 * their kind.
 *
 * @see https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
export function createNatsCutter(mayHarm: (subject: string) => boolean): Cutter {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const pieces: Piece[] = [];
    for (;;) {
      const end = rest.indexOf(lineEnd);
      if (end < 0) return pieces;
      const words = rest.subarray(0, end).toString("latin1").split(" ");
      const isMessage = words[0] === "MSG" || words[0] === "HMSG";
      const payloadBytes = isMessage ? Number(words.at(-1)) + lineEnd.length : 0;
      const size = end + lineEnd.length + payloadBytes;
      if (rest.length < size) return pieces;
      const kind = isMessage ? (words[1] ?? "") : "";
      pieces.push({ bytes: rest.subarray(0, size), mayBeHarmed: isMessage && mayHarm(kind), kind });
      rest = rest.subarray(size);
    }
  };
}
