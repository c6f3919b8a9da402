import { Buffer } from "node:buffer";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { ANSWER_BYTES, reportToParent } from "./serve.ts";

const answer = Buffer.alloc(ANSWER_BYTES, 1);
const identity = (value: Buffer): Buffer => value;
const server = new Server();
server.addService(
  {
    unary: {
      path: "/bench.Bench/Unary",
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  { unary: (_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => done(null, answer) },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  reportToParent(port);
});
