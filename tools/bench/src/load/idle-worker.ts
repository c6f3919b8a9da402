import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/*
 * Child process: opens connections, and calls on them that send one message and stay open; tells its parent when all
 * was received. Arguments: port, connections, streams of each.
 */
const [port = 0, connections = 0, streams = 0] = process.argv.slice(2).map(Number);

const header = (length: number, type: number, flags: number, streamId: number): Buffer => {
  const bytes = Buffer.alloc(9);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  return bytes;
};
const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.of(0, name.length), Buffer.from(name), Buffer.of(value.length), Buffer.from(value)]);
const block = Buffer.concat([
  Buffer.of(0x83, 0x86),
  literal(":path", "/bench.Bench/Idle"),
  literal(":authority", "localhost"),
  literal("content-type", "application/grpc"),
  literal("te", "trailers"),
  literal("user-agent", "bench"),
]);

const sockets: Socket[] = [];
for (let i = 0; i < connections; i++) {
  const socket = connect({ port, host: "127.0.0.1" });
  sockets.push(socket);
  await once(socket, "connect");
  const calls = Array.from({ length: streams }, (_, n) =>
    Buffer.concat([header(block.length, 1, 4, n * 2 + 1), block]),
  );
  const isPonged = new Promise<void>((resolve) => {
    let seen = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      if (seen.includes("all-sent")) resolve();
    });
  });
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
  const ping = Buffer.concat([header(8, 6, 0, 0), Buffer.from("all-sent")]);
  socket.write(Buffer.concat([preface, header(0, 4, 0, 0), header(0, 4, 1, 0), ...calls, ping]));
  await isPonged;
}
process.send?.({ sockets: sockets.length });
