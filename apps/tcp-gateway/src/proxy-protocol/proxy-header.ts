import { isIPv4, isIPv6 } from "node:net";

/** The two ends of a connection as the first proxy on the way saw it. */
export type ProxiedConnection = {
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
};

/** What the bytes received so far are. `bytes` is how long the header is; what follows belongs to the connection. */
export type ProxyHeader =
  | { readonly t: "incomplete" }
  | { readonly t: "header"; readonly bytes: number; readonly connection: ProxiedConnection }
  /** Valid, but it names nobody: a health check of the proxy itself, or a family we do not know. */
  | { readonly t: "anonymous"; readonly bytes: number }
  | { readonly t: "invalid" };

// The PROXY protocol, versions 1 and 2: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
const signature = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const fixedV2Bytes = 16;
const maxV1Bytes = 107;
const startOfV1 = "PROXY ";
/** Addresses take 36 bytes at most; the rest of a v2 header are extensions, which nobody needs here. */
const maxV2Bytes = 4_096;
const tcpOver4 = 0x11;
const tcpOver6 = 0x21;

/** Reads a header of either version. The sender must send one; anything else is invalid. Never throws. */
export function parseProxyHeader(received: Buffer): ProxyHeader {
  if (startsAlike(received, signature)) {
    return received.length < fixedV2Bytes ? { t: "incomplete" } : parseV2(received);
  }
  if (startsAlike(received, Buffer.from(startOfV1))) return parseV1(received);
  return { t: "invalid" };
}

/** A header of version 1 or 2. Both addresses must be of one family. */
export function encodeProxyHeader(connection: ProxiedConnection, version: 1 | 2): Buffer {
  const { sourceAddress, sourcePort, destinationAddress, destinationPort } = unmapped(connection);
  const family = isIPv4(sourceAddress) && isIPv4(destinationAddress) ? 4 : 6;
  if (version === 1) {
    const addresses = `${sourceAddress} ${destinationAddress} ${sourcePort} ${destinationPort}`;
    return Buffer.from(`${startOfV1}TCP${family} ${addresses}\r\n`);
  }
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(sourcePort, 0);
  ports.writeUInt16BE(destinationPort, 2);
  const addresses = [sourceAddress, destinationAddress].map((one) =>
    family === 4 ? toBytes4(one) : toBytes6(one),
  );
  const body = Buffer.concat([...addresses, ports]);
  const fixed = Buffer.alloc(4);
  fixed.writeUInt8(0x21, 0); // version 2, command PROXY
  fixed.writeUInt8(family === 4 ? tcpOver4 : tcpOver6, 1);
  fixed.writeUInt16BE(body.length, 2);
  return Buffer.concat([signature, fixed, body]);
}

/** A header of version 1 or 2 that names nobody: for connections of the proxy's own, such as health checks. */
export function encodeOwnHeader(version: 1 | 2): Buffer {
  if (version === 1) return Buffer.from(`${startOfV1}UNKNOWN\r\n`);
  return Buffer.concat([signature, Buffer.from([0x20, 0, 0, 0])]); // version 2, command LOCAL, no addresses
}

function startsAlike(received: Buffer, start: Buffer): boolean {
  const length = Math.min(received.length, start.length);
  return received.subarray(0, length).equals(start.subarray(0, length));
}

function parseV1(received: Buffer): ProxyHeader {
  const end = received.subarray(0, maxV1Bytes).indexOf("\r\n");
  if (end === -1) return received.length < maxV1Bytes ? { t: "incomplete" } : { t: "invalid" };
  const [, family, source, destination, fromPort, toPort, ...more] = received
    .toString("latin1", 0, end)
    .split(" ");
  const bytes = end + 2;
  if (family === "UNKNOWN") return { t: "anonymous", bytes };
  const isAddress = family === "TCP4" ? isIPv4 : family === "TCP6" ? isIPv6 : () => false;
  const [sourcePort, destinationPort] = [toPortNumber(fromPort), toPortNumber(toPort)];
  if (source === undefined || destination === undefined || more.length > 0) return { t: "invalid" };
  if (!isAddress(source) || !isAddress(destination)) return { t: "invalid" };
  if (sourcePort === undefined || destinationPort === undefined) return { t: "invalid" };
  const connection = { sourceAddress: source, sourcePort, destinationAddress: destination, destinationPort };
  return { t: "header", bytes, connection };
}

function parseV2(received: Buffer): ProxyHeader {
  const command = received.readUInt8(12);
  const family = received.readUInt8(13);
  const bytes = fixedV2Bytes + received.readUInt16BE(14);
  if (command >> 4 !== 2 || (command & 0xf) > 1 || bytes > maxV2Bytes) return { t: "invalid" };
  if (received.length < bytes) return { t: "incomplete" };
  const addressBytes = family === tcpOver4 ? 4 : family === tcpOver6 ? 16 : 0;
  const isLocal = (command & 0xf) === 0;
  if (isLocal || addressBytes === 0) return { t: "anonymous", bytes };
  if (bytes < fixedV2Bytes + 2 * addressBytes + 4) return { t: "invalid" };
  const portsAt = fixedV2Bytes + 2 * addressBytes;
  const address = (at: number): string => toText(received.subarray(at, at + addressBytes));
  return {
    t: "header",
    bytes,
    connection: {
      sourceAddress: address(fixedV2Bytes),
      destinationAddress: address(fixedV2Bytes + addressBytes),
      sourcePort: received.readUInt16BE(portsAt),
      destinationPort: received.readUInt16BE(portsAt + 2),
    },
  };
}

function toPortNumber(text: string | undefined): number | undefined {
  const port = text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= 65_535 ? port : undefined;
}

/** IPv4 inside IPv6 as IPv4 where both ends are: a listener on `::` sees all clients so. */
function unmapped(connection: ProxiedConnection): ProxiedConnection {
  const cut = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  const [sourceAddress, destinationAddress] = [
    cut(connection.sourceAddress),
    cut(connection.destinationAddress),
  ];
  if (isIPv4(sourceAddress) !== isIPv4(destinationAddress)) {
    const map = (address: string): string => (isIPv4(address) ? `::ffff:${address}` : address);
    return { ...connection, sourceAddress: map(sourceAddress), destinationAddress: map(destinationAddress) };
  }
  return { ...connection, sourceAddress, destinationAddress };
}

function toBytes4(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

function toBytes6(address: string): Buffer {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const hex = (high: string | undefined, low: string | undefined): string =>
    ((Number(high) << 8) | Number(low)).toString(16);
  const plain =
    dotted === null ? address : `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}`;
  const [head = "", tail] = plain.split("::");
  const groups = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  const bytes = Buffer.alloc(16);
  for (const [n, group] of [...before, ...zeros, ...after].entries()) bytes.writeUInt16BE(group, n * 2);
  return bytes;
}

function toText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, n) => bytes.readUInt16BE(n * 2).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1); // the short form
}
