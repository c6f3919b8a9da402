import { type Client, credentials, makeClientConstructor, Server, ServerCredentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  KV,
  type RangeRequest,
  type RangeResponse,
  toGrpcJsService,
  Watch,
  type WatchRequest,
  type WatchResponse,
} from "../src/index.ts";

const kv = toGrpcJsService(KV);
const watch = toGrpcJsService(Watch);

const server = new Server();
let client: Client;

beforeAll(async () => {
  server.addService(
    { range: kv.range },
    {
      range: (
        call: { request: RangeRequest },
        callback: (error: Error | null, value?: Partial<RangeResponse>) => void,
      ) => callback(null, { count: call.request.limit * 2n, more: call.request.key.length === 3 }),
    },
  );
  server.addService(watch, {
    watch: (call: {
      on: (e: string, f: (m: WatchRequest) => void) => void;
      write: (m: object) => void;
      end: () => void;
    }) => {
      call.on("data", (message) => call.write({ created: message.requestUnion.case === "createRequest" }));
      call.on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const Constructor = makeClientConstructor({ range: kv.range }, "KV");
  client = new Constructor(`127.0.0.1:${port}`, credentials.createInsecure());
});

afterAll(() => {
  client.close();
  server.forceShutdown();
});

it("lets grpc-js call and serve a unary method with our codecs", async () => {
  const answer = await new Promise<RangeResponse | undefined>((resolve, reject) => {
    const request = { key: Uint8Array.of(1, 2, 3), limit: 2n ** 60n };
    client.makeUnaryRequest(
      kv.range.path,
      kv.range.requestSerialize,
      kv.range.responseDeserialize,
      request,
      (error, value) => (error === null ? resolve(value) : reject(error)),
    );
  });
  expect(answer?.count).toBe(2n ** 61n);
  expect(answer?.more).toBe(true);
});

it("lets grpc-js stream both ways with our codecs", async () => {
  const { path, requestSerialize, responseDeserialize } = watch.watch;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  call.write({ requestUnion: { case: "createRequest", value: { key: Uint8Array.of(1) } } });
  call.write({ requestUnion: { case: "progressRequest", value: {} } });
  call.end();
  const answers: WatchResponse[] = [];
  for await (const message of call) answers.push(message as WatchResponse);
  expect(answers.map((message) => message.created)).toEqual([true, false]);
});
