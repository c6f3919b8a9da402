import { once } from "node:events";
import { fromBinary, MemberListResponseSchema } from "@etcd-edge/proto";
import { CallError, ErrorCode, StatusCode } from "@etcd-edge/transport";
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { EtcdClient } from "./etcd-client.ts";
import { answerWith, startFakeEtcd, startRawServer } from "./fake-etcd.ts";
import { LeaseClient } from "./lease-client.ts";
import { type ByteClient, createByteClient, startProxy } from "./proxy-under-test.ts";

interface UnaryResult {
  readonly error: ServiceError | null;
  readonly answer: Buffer | undefined;
}

function call(
  client: ByteClient,
  method: "range" | "put",
  request: Buffer,
  options: { metadata?: Metadata; deadline?: number } = {},
): Promise<UnaryResult> {
  return new Promise((resolve) => {
    const { metadata = new Metadata(), ...rest } = options;
    client[method](request, metadata, rest, (error, answer) => resolve({ error, answer }));
  });
}

const request = Buffer.from([0x0a, 0x01, 0x61, 0xf8, 0x3f, 0x01]); // key "a", and a field that no etcd has
const answer = Buffer.from([0x20, 0x2a]);

describe("the relay", () => {
  it("passes bytes, metadata both ways, trailers and status details untouched", async () => {
    const details = Buffer.from("details").toString("base64").replace(/=+$/, "");
    await using etcd = await startFakeEtcd((seen) => ({
      onMessage: (payload) => {
        expect(Buffer.from(payload)).toEqual(request);
        seen.sendHeaders(["x-member", "m1", "x-raw-bin", "AQI"]);
        seen.end({
          code: StatusCode.failedPrecondition,
          message: "etcdserver: später",
          metadata: ["grpc-status-details-bin", details, "x-trailer", "t"],
        });
      },
    }));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    using client = createByteClient(proxy.address.port);
    const metadata = new Metadata();
    metadata.set("token", "secret.1");
    metadata.set("hasleader", "true");
    metadata.set("x-key-bin", Buffer.from([0, 255]));
    const { error } = await call(client, "range", request, { metadata });
    expect(error).toMatchObject({ code: 9, details: "etcdserver: später" });
    expect(error?.metadata.get("x-trailer")).toEqual(["t"]);
    expect(error?.metadata.get("grpc-status-details-bin")).toEqual([Buffer.from("details")]);
    const seen = etcd.calls[0]?.metadata ?? [];
    expect(seen).toEqual(
      expect.arrayContaining(["token", "secret.1", "hasleader", "true", "x-key-bin", "AP8="]),
    );
    expect(seen.filter((name) => name === "user-agent")).toHaveLength(1);
  });

  it("relays RPCs that it does not know, both ways", async () => {
    await using etcd = await startFakeEtcd((seen) => ({
      onMessage: (payload) => void seen.sendMessage(payload),
      onHalfClose: () => seen.end(),
    }));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    using client = createByteClient(proxy.address.port);
    const stream = client.future();
    stream.write(Buffer.from("one"));
    expect(await once(stream, "data")).toEqual([Buffer.from("one")]);
    stream.write(Buffer.from("two"));
    expect(await once(stream, "data")).toEqual([Buffer.from("two")]);
    const ended = once(stream, "status");
    stream.end();
    stream.resume();
    expect((await ended)[0]).toMatchObject({ code: 0 });
  });

  it("cancels upstream when the client cancels, and ends the client's stream when etcd ends it", async () => {
    const cancelled = Promise.withResolvers<string>();
    await using etcd = await startFakeEtcd((seen) => ({
      onMessage: (payload) => {
        if (payload.toString() === "end") seen.end({ code: 14, message: "etcdserver: no leader" });
        else seen.sendMessage(payload);
      },
      onCancel: (reason) => cancelled.resolve(reason.t),
    }));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    using client = createByteClient(proxy.address.port);
    const first = client.future();
    first.on("error", () => {});
    first.write(Buffer.from("x"));
    await once(first, "data");
    first.cancel();
    expect(await cancelled.promise).toBe("reset");

    const second = client.future();
    second.resume();
    const failed = once(second, "error");
    second.write(Buffer.from("end"));
    expect((await failed.catch((error: unknown) => [error]))[0]).toMatchObject({
      code: 14,
      details: "etcdserver: no leader",
    });
  });

  it("keeps a server stream in order while its reader is slow, and stops reading from etcd meanwhile", async () => {
    const messages = 300;
    const size = 32 * 1024;
    let sent = 0;
    await using etcd = await startFakeEtcd((seen) => {
      const fill = (): void => {
        while (sent < messages) {
          const body = Buffer.alloc(size, sent % 251);
          sent++;
          if (!seen.sendMessage(body)) return;
        }
        seen.end();
      };
      return { onHalfClose: fill, onDrain: fill };
    });
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    using client = createByteClient(proxy.address.port);
    const stream = client.snapshot(Buffer.alloc(0));
    await once(stream, "readable");
    const sentWhileStalled = sent;
    let received = 0;
    for await (const message of stream) {
      expect((message as Buffer)[size - 1]).toBe(received % 251);
      received++;
    }
    expect(received).toBe(messages);
    expect(sentWhileStalled).toBeLessThan(messages);
  });

  it("answers etcd's own text for a request over --max-send-bytes, and sends nothing", async () => {
    await using etcd = await startFakeEtcd(() => answerWith(answer));
    await using proxy = await startProxy({ endpoints: [etcd.address], maxSendBytes: 100 });
    using client = createByteClient(proxy.address.port);
    const { error } = await call(client, "put", Buffer.alloc(101));
    expect(error).toMatchObject({ code: 3, details: "etcdserver: request is too large" });
    expect(etcd.calls).toHaveLength(0);
    expect((await call(client, "put", Buffer.alloc(100))).answer).toEqual(answer);
  });

  it("answers 8 in grpc-go's words for a request that no etcd would take, and lets the flag raise what that is", async () => {
    await using etcd = await startFakeEtcd(() => answerWith(answer));
    const size = 5 * 1024 * 1024;
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    using client = createByteClient(proxy.address.port);
    expect((await call(client, "put", Buffer.alloc(size))).error).toMatchObject({
      code: 8,
      details: `grpc: received message larger than max (${size} vs. 4194304)`,
    });
    expect(etcd.calls).toHaveLength(0);
    await using wide = await startProxy({ endpoints: [etcd.address], maxSendBytes: 2 * size });
    using wideClient = createByteClient(wide.address.port);
    // The fake has grpc-go's default itself: its refusal shows that the request got there.
    expect((await call(wideClient, "put", Buffer.alloc(size))).error).toMatchObject({ code: 8 });
    expect(etcd.calls).toHaveLength(1);
  });

  it("answers 8 in grpc-go's words for an answer over --max-recv-bytes", async () => {
    await using etcd = await startFakeEtcd(() => answerWith(Buffer.alloc(2_000)));
    await using proxy = await startProxy({
      endpoints: [etcd.address],
      maxSendBytes: 1_000,
      maxRecvBytes: 1_999,
    });
    using client = createByteClient(proxy.address.port);
    expect((await call(client, "range", request)).error).toMatchObject({
      code: 8,
      details: "grpc: received message larger than max (2000 vs. 1999)",
    });
  });
});

describe("rule 39: what may be sent again", () => {
  it("moves a call that etcd refused to the next endpoint, writes too", async () => {
    let refused = 0;
    const refuse = (seen: { reset(code: number): void }): object => ({
      onHalfClose: () => {
        refused++;
        seen.reset(ErrorCode.refusedStream);
      },
    });
    await using busy = await startFakeEtcd(refuse);
    await using idle = await startFakeEtcd(() => answerWith(answer));
    await using proxy = await startProxy({ endpoints: [busy.address, idle.address] });
    using client = createByteClient(proxy.address.port);
    for (let i = 0; i < 8; i++) expect((await call(client, "put", request)).answer).toEqual(answer);
    expect(refused).toBeGreaterThan(0);
    expect(idle.calls).toHaveLength(8);
  });

  it("sends no write again whose connection was lost while it was in the air", async () => {
    const lost = Promise.withResolvers<void>();
    await using dying = await startFakeEtcd((seen) => ({
      onHalfClose: () => {
        seen.client.destroy("test");
        lost.resolve();
      },
    }));
    await using proxy = await startProxy({ endpoints: [dying.address] });
    using client = createByteClient(proxy.address.port);
    const { error } = await call(client, "put", request);
    await lost.promise;
    expect(error).toMatchObject({ code: 14 });
    expect(dying.calls).toHaveLength(1);
  });

  it("answers a forwarded call 14 with trailers, never by a refusal that clients replay", async () => {
    await using etcd = await startFakeEtcd((seen) => ({
      onMessage: () => {
        seen.sendMessage(answer);
        seen.reset(ErrorCode.refusedStream);
      },
    }));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    using client = createByteClient(proxy.address.port);
    const stream = client.future();
    stream.resume();
    stream.write(request);
    const [error] = await once(stream, "error").catch((thrown: unknown) => [thrown]);
    expect(error).toMatchObject({ code: 14 });
    expect(etcd.calls).toHaveLength(1);
  });
});

describe("rule 42: no upstream", () => {
  it("holds a read for --upstream-read-wait and serves it as soon as etcd is there", async () => {
    await using raw = await startRawServer((socket) => socket.destroy());
    const { address } = raw;
    await using proxy = await startProxy({ endpoints: [address], upstreamReadWait: 30_000 });
    using client = createByteClient(proxy.address.port);
    const waiting = call(client, "range", request);
    expect((await call(client, "put", request)).error).toMatchObject({ code: 14 });
    await raw[Symbol.asyncDispose]();
    await using _etcd = await startFakeEtcdAt(address);
    expect((await waiting).answer).toEqual(answer);
  });

  it("answers 14 when the wait is over, and 4 when the client's deadline comes first", async () => {
    await using proxy = await startProxy({ endpoints: ["127.0.0.1:1"], upstreamReadWait: 300 });
    using client = createByteClient(proxy.address.port);
    const began = performance.now();
    expect((await call(client, "range", request)).error).toMatchObject({ code: 14 });
    expect(performance.now() - began).toBeGreaterThan(290);
    const deadline = Date.now() + 100;
    expect((await call(client, "range", request, { deadline })).error).toMatchObject({ code: 4 });
  });

  it.each(["range", "put"] as const)(
    "lets a %s wait for connections under way no longer than --upstream-wait, over all endpoints",
    async (method) => {
      // They accept and say nothing: the attempt goes on for as long as it may.
      await using silent = await startRawServer(() => {});
      await using other = await startRawServer(() => {});
      await using proxy = await startProxy({
        endpoints: [silent.address, other.address],
        upstreamWait: 300,
        upstreamReadWait: 0,
      });
      using client = createByteClient(proxy.address.port);
      const began = performance.now();
      const deadline = Date.now() + 60_000;
      expect((await call(client, method, request, { deadline })).error).toMatchObject({ code: 14 });
      expect(performance.now() - began).toBeGreaterThan(290);
      expect(performance.now() - began).toBeLessThan(8_000); // an attempt takes up to 10 s
    },
  );
});

describe("rule 43: deadlines", () => {
  it("forwards what is left of the time, and none where the client set none", async () => {
    await using etcd = await startFakeEtcd(() => answerWith(answer));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    using client = createByteClient(proxy.address.port);
    await call(client, "range", request, { deadline: Date.now() + 5_000 });
    await call(client, "put", request);
    const left = (etcd.calls[0]?.deadlineAt ?? 0) - performance.now();
    expect(left).toBeGreaterThan(3_000);
    expect(left).toBeLessThanOrEqual(5_001);
    expect(etcd.calls[1]?.deadlineAt).toBeUndefined();
  });
});

/** A fake etcd on a given port of 127.0.0.1 that answers every unary call. */
async function startFakeEtcdAt(address: string): Promise<AsyncDisposable> {
  const { Server } = await import("@etcd-edge/transport");
  const server = new Server<unknown>({
    createData: () => undefined,
    onCall: () => answerWith(answer),
  });
  await server.listen({ host: "127.0.0.1", port: Number(address.split(":")[1]) });
  return server;
}

describe("rule 36: one credential", () => {
  it("is chosen as etcd chooses, and alone goes on", async () => {
    await using etcd = await startFakeEtcd(() => answerWith(answer));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    const authorizations = ["authorization", "Bearer first", "authorization", "second"];
    const tokens = ["token", "third", "token", "fourth"];
    for (const metadata of [authorizations, [...authorizations, ...tokens]])
      await client.channel.unaryCall("/etcdserverpb.KV/Range", metadata, request);
    const credentials = etcd.calls.map((seen) => credentialsIn(seen.metadata));
    expect(credentials).toEqual([
      ["token", "first"],
      ["token", "third"],
    ]);
  });
});

describe("rule 8: a client's call carries the client's credential or none", () => {
  it("whatever others on the same connections carry, keepalives among them", async () => {
    await using etcd = await startFakeEtcd((seen) => ({
      onMessage: () => void seen.sendMessage(Buffer.from([0x10, 7, 0x18, 60])), // lease 7, 60 s
      onHalfClose: () => seen.end(),
    }));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await using known = new LeaseClient(`127.0.0.1:${proxy.address.port}`);
    for (const metadata of [["token", "secret"], [], ["authorization", "Bearer other"], []]) {
      const stream = known.keepAlive(metadata);
      expect(await stream.renew(7n)).toBeGreaterThanOrEqual(59n);
      stream.cancel();
    }
    // Each of the three got a stream of its own, and the second without a credential shared the first one's answer.
    const credentials = etcd.calls.map((seen) => credentialsIn(seen.metadata));
    expect(credentials).toEqual([["token", "secret"], [], ["token", "other"]]);
  });
});

describe("rule 35: a local answer", () => {
  const memberList = "/etcdserverpb.Cluster/MemberList";

  it("is for requests that the schema knows; others are etcd's to answer", async () => {
    await using etcd = await startFakeEtcd(() => answerWith(answer));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    const linearizable = Buffer.from([0x08, 0x01]);
    const { payload } = await client.channel.unaryCall(memberList, [], linearizable);
    expect(fromBinary(MemberListResponseSchema, payload).members).toHaveLength(1);
    expect(etcd.calls).toHaveLength(0);
    const future = Buffer.from([0x08, 0x01, 0xf8, 0x3f, 0x01]);
    expect(Buffer.from((await client.channel.unaryCall(memberList, [], future)).payload)).toEqual(answer);
    expect(etcd.calls.map(({ path }) => path)).toEqual([memberList]);
  });
});

function credentialsIn(metadata: readonly string[]): string[] {
  const found: string[] = [];
  for (let i = 0; i < metadata.length; i += 2) {
    const name = metadata[i] ?? "";
    if (name === "token" || name === "authorization") found.push(name, metadata[i + 1] ?? "");
  }
  return found;
}

describe("rule 13: requests that kill an etcd", () => {
  it.each([
    ["3.4.23", 3],
    ["", 3],
    ["3.5.0", 0],
    ["4.0.0", 0],
  ])("the alarm NONE before a member of version %j ends with code %i", async (version, code) => {
    const alarmNone = Buffer.from([0x08, 0x01]); // ACTIVATE, of no alarm
    await using etcd = await startFakeEtcd(() => answerWith(answer), version);
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    await etcd.probed;
    const ended = await client.channel.unaryCall("/etcdserverpb.Maintenance/Alarm", [], alarmNone).then(
      () => 0,
      (error: unknown) => (error instanceof CallError ? error.code : error),
    );
    expect(ended).toBe(code);
    expect(etcd.calls).toHaveLength(code === 0 ? 1 : 0);
  });

  it("are answered as a newer etcd answers them, and reach no endpoint", async () => {
    await using etcd = await startFakeEtcd(() => answerWith(answer));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    using client = createByteClient(proxy.address.port);
    const lethal = Buffer.from([0x0a, 0x01, 0x61, 0x28, 0x02, 0x30, 0x63]); // key "a", DESCEND, target 99
    const { error } = await call(client, "range", lethal);
    expect(error).toMatchObject({ code: 3, details: "etcdserver: invalid sort option" });
    expect(etcd.calls).toHaveLength(0);
  });

  it("answers bytes that are no request as grpc-go does", async () => {
    await using etcd = await startFakeEtcd(() => answerWith(answer));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    using client = createByteClient(proxy.address.port);
    const { error } = await call(client, "range", Buffer.from([0x0a, 0x7f]));
    expect(error).toMatchObject({ code: 13, details: "grpc: error unmarshalling request: unexpected EOF" });
    expect(etcd.calls).toHaveLength(0);
  });
});
