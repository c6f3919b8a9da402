/** A question as asked, with what is needed to answer it. */
export type DnsQuery = {
  readonly id: number;
  readonly isRecursionDesired: boolean;
  /** Lower case, without the final dot; a dot inside a label is written `\.`. The root is the empty text. */
  readonly name: string;
  /** The same with the letters as they came: resolvers vary their case and want it back. */
  readonly asked: string;
  readonly type: number;
  readonly class: number;
  /** The bytes of the question section. */
  readonly question: Buffer;
  /** What the OPT record said, if there was one. */
  readonly edns: { readonly version: number; readonly udpBytes: number } | undefined;
};

export type ParsedDnsMessage =
  | { readonly t: "query"; readonly query: DnsQuery }
  /** To be refused with this rcode; there is no question that could be echoed. */
  | { readonly t: "refuse"; readonly id: number; readonly opcode: number; readonly rcode: number }
  /** Not a query at all. Answering a response would make two servers talk for ever. */
  | { readonly t: "ignore" };

export const headerBytes = 12;
const formatError = 1;
const notImplemented = 4;
const typeOpt = 41;
const maxNameBytes = 255;

/** Reads a message from anybody (RFC 1035 section 4, RFC 6891). Never throws; looks at each byte once. */
export function parseDnsMessage(message: Buffer): ParsedDnsMessage {
  if (message.length < headerBytes || (message.readUInt16BE(2) & 0x8000) !== 0) return { t: "ignore" };
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  const opcode = (flags >> 11) & 0xf;
  if (opcode !== 0) return { t: "refuse", id, opcode, rcode: notImplemented };
  const malformed: ParsedDnsMessage = { t: "refuse", id, opcode, rcode: formatError };
  if (message.readUInt16BE(4) !== 1) return malformed;
  const name = readName(message, headerBytes);
  if (name === undefined || name.end + 4 > message.length) return malformed;
  const questionEnd = name.end + 4;
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  const edns = findOpt(message, questionEnd, records);
  if (edns === "malformed") return malformed;
  return {
    t: "query",
    query: {
      id,
      isRecursionDesired: (flags & 0x0100) !== 0,
      name: name.text.toLowerCase(),
      asked: name.text,
      type: message.readUInt16BE(name.end),
      class: message.readUInt16BE(name.end + 2),
      question: message.subarray(headerBytes, questionEnd),
      edns,
    },
  };
}

/** Compression is not taken in a question: there is nothing before it that it could point to. */
function readName(message: Buffer, start: number): { text: string; end: number } | undefined {
  const labels: string[] = [];
  for (let at = start; at - start < maxNameBytes; ) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined;
    if (length === 0) return { text: labels.join("."), end: at + 1 };
    const label = message.subarray(at + 1, at + 1 + length);
    if (label.length < length) return undefined;
    labels.push(label.toString("latin1").replaceAll(".", "\\."));
    at += 1 + length;
  }
  return undefined;
}

function findOpt(message: Buffer, start: number, records: number): DnsQuery["edns"] | "malformed" {
  let edns: DnsQuery["edns"];
  let at = start;
  for (let n = 0; n < records; n += 1) {
    const end = skipName(message, at);
    if (end === undefined || end + 10 > message.length) return "malformed";
    const next = end + 10 + message.readUInt16BE(end + 8);
    if (next > message.length) return "malformed";
    if (message.readUInt16BE(end) === typeOpt) {
      if (edns !== undefined || end !== at + 1) return "malformed"; // at most one, owned by the root
      edns = { version: message.readUInt8(end + 5), udpBytes: message.readUInt16BE(end + 2) };
    }
    at = next;
  }
  return edns;
}

function skipName(message: Buffer, start: number): number | undefined {
  for (let at = start; ; ) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if ((length & 0xc0) === 0xc0) return at + 2;
    if (length > 63) return undefined;
    at += 1 + length;
  }
}
