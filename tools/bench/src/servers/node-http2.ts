import { Buffer } from "node:buffer";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { ANSWER_BYTES, reportToParent } from "./serve.ts";

const framed = Buffer.alloc(5 + ANSWER_BYTES, 1);
framed[0] = 0;
framed.writeUInt32BE(ANSWER_BYTES, 1);
const server = createServer();
server.on("stream", (stream: ServerHttp2Stream) => {
  stream.on("data", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(framed);
  });
});
server.listen(0, "127.0.0.1", () => reportToParent((server.address() as AddressInfo).port));
