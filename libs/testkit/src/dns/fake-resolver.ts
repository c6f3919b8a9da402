import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Answer, DecodedPacket, Packet } from "dns-packet";
import dnsPacket from "dns-packet";

/** What to say to a question: records, a whole packet body, raw bytes, or nothing at all. */
export type Reply = { readonly answers: Answer[] } | Packet | Buffer | "nothing";

export type FakeResolver = AsyncDisposable & { readonly address: string; readonly asked: string[] };

/** A DNS server for tests on loopback, the same port for UDP and TCP, answering what the script says. */
export async function startFakeResolver(
  reply: (question: string, via: "udp" | "tcp", query: DecodedPacket) => Reply,
): Promise<FakeResolver> {
  const asked: string[] = [];
  const answer = (message: Buffer, via: "udp" | "tcp"): Buffer | undefined => {
    const query = dnsPacket.decode(message);
    const [question] = query.questions ?? [];
    const text = `${question?.type} ${question?.name}`;
    asked.push(`${via} ${text}`);
    const body = reply(text, via, query);
    if (body === "nothing") return undefined;
    if (Buffer.isBuffer(body)) return body;
    return dnsPacket.encode({ type: "response", id: query.id, questions: query.questions, ...body });
  };

  const server = createServer((socket) => {
    socket.on("error", () => undefined); // a client that leaves is no failure of the test
    socket.once("data", (message: Buffer) => {
      const response = answer(message.subarray(2), "tcp");
      if (response === undefined) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(response.length);
      socket.write(length.subarray(0, 1)); // in pieces, as the network may
      socket.end(Buffer.concat([length.subarray(1), response]));
    });
  });
  const udp = createSocket("udp4");
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  const port = bound !== null && typeof bound === "object" ? bound.port : 0;
  udp.on("message", (message, { port: from, address }) => {
    const response = answer(message, "udp");
    if (response !== undefined) udp.send(response, from, address);
  });
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  return {
    address: `127.0.0.1:${port}`,
    asked,
    async [Symbol.asyncDispose]() {
      udp.close();
      server.close();
      await once(server, "close");
    },
  };
}

export function srvAnswer(
  name: string,
  target: string,
  port: number,
  more: { ttl?: number; priority?: number; weight?: number } = {},
): Answer {
  const { ttl = 60, priority = 0, weight = 0 } = more;
  return { type: "SRV", name, ttl, data: { target, port, priority, weight } };
}

/** Response flags whose low four bits carry the rcode (RFC 1035 section 4.1.1). */
export function rcode(code: number): Packet {
  return { flags: code };
}
