import { create, PutRequestSchema, RangeRequestSchema, toBinary } from "@etcd-edge/proto";
import { CallError, type RawMetadata } from "@etcd-edge/transport";
import { describe, expect, it } from "vitest";
import { EtcdClient } from "./etcd-client.ts";
import { startFakeEtcd } from "./fake-etcd.ts";
import { startProxy } from "./proxy-under-test.ts";

const bytes = (text: string): Buffer => Buffer.from(text);
const putPath = "/etcdserverpb.KV/Put";
const rangePath = "/etcdserverpb.KV/Range";
const put = toBinary(PutRequestSchema, create(PutRequestSchema, { key: bytes("k") }));
const wide = (key: string): Uint8Array =>
  toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: bytes(key), rangeEnd: bytes("z") }));

/** An etcd that answers when it is told to, and a proxy that gives it one request of a kind at a time. */
async function startSlow(stack: AsyncDisposableStack, limits: { queue: number; waitMs?: number }) {
  const held: (() => void)[] = [];
  const etcd = stack.use(
    await startFakeEtcd((call) => ({
      onMessage: () => {},
      onHalfClose: () => {
        if (call.path.startsWith("/etcdserverpb.KV/")) held.push(() => call.respond(new Uint8Array(0)));
        else call.end({ code: 12, message: "unknown" });
      },
      onCancel: () => {},
    })),
  );
  const proxy = stack.use(
    await startProxy({
      endpoints: [etcd.address],
      maxConcurrentRanges: 1,
      maxConcurrentWrites: 1,
      maxQueuedRequests: limits.queue,
      maxQueueWait: limits.waitMs ?? 60_000,
    }),
  );
  const connect = (): EtcdClient => stack.use(new EtcdClient(`127.0.0.1:${proxy.address.port}`));
  return { held, connect };
}

async function ask(client: EtcdClient, path: string, payload: Uint8Array): Promise<unknown> {
  try {
    await client.channel.unaryCall(path, [], payload);
    return "answered";
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    return { code: error.code, message: error.message, hint: hintOf(error.metadata) };
  }
}

function hintOf(metadata: RawMetadata): string | undefined {
  const at = metadata.indexOf("grpc-retry-pushback-ms");
  return at < 0 ? undefined : metadata[at + 1];
}

const reached = (held: readonly unknown[], count: number) =>
  expect.poll(() => held.length, { timeout: 15_000 }).toBe(count);

describe("work that etcd is given at once", () => {
  it("is bounded for writes, and clients take turns", async () => {
    await using stack = new AsyncDisposableStack();
    const { held, connect } = await startSlow(stack, { queue: 100 });
    const [busy, other] = [connect(), connect()];
    const order: string[] = [];
    const first = ask(busy, putPath, put);
    await reached(held, 1);
    const line = [1, 2, 3].map((i) => ask(busy, putPath, put).then(() => order.push(`busy ${i}`)));
    // Reads of one key are not writes: this one shows that the three before it have arrived.
    const marker = ask(busy, rangePath, wide("marker"));
    await reached(held, 2);
    const late = ask(other, putPath, put).then(() => order.push("other"));
    const otherMarker = ask(other, rangePath, wide("other"));
    held[1]?.();
    await reached(held, 3);
    held[2]?.();
    await Promise.all([marker, otherMarker]);
    for (let i = 0; i < 5; i++) {
      const next = i === 0 ? 0 : i + 2;
      await reached(held, Math.max(3, next + 1));
      held[next]?.();
    }
    expect(await first).toBe("answered");
    await Promise.all([...line, late]);
    expect(order).toEqual(["busy 1", "other", "busy 2", "busy 3"]);
  });

  it.each([
    ["writes", putPath, () => put],
    ["ranges", rangePath, (i: number) => wide(`k${i}`)],
  ] as const)(
    "has a short line of %s, past which clients hear when to come again",
    async (name, path, request) => {
      await using stack = new AsyncDisposableStack();
      const { held, connect } = await startSlow(stack, { queue: 1 });
      const client = connect();
      const first = ask(client, path, request(1));
      await reached(held, 1);
      const answers = [ask(client, path, request(2)), ask(client, path, request(3))];
      expect(await Promise.race(answers)).toEqual({
        code: 8,
        message: `etcd-edge: too many ${name} wait for etcd (--max-queued-requests=1)`,
        hint: "1000",
      });
      held[0]?.();
      await reached(held, 2);
      held[1]?.();
      expect(await first).toBe("answered");
      expect(await Promise.all(answers)).toContain("answered");
    },
  );

  it("lets nobody wait for longer than --max-queue-wait", async () => {
    await using stack = new AsyncDisposableStack();
    const { held, connect } = await startSlow(stack, { queue: 10, waitMs: 50 });
    const client = connect();
    const first = ask(client, putPath, put);
    await reached(held, 1);
    expect(await ask(client, putPath, put)).toEqual({
      code: 8,
      message:
        "etcd-edge: writes wait for etcd for more than --max-queue-wait=50ms (--max-concurrent-writes=1)",
      hint: "1000",
    });
    held[0]?.();
    expect(await first).toBe("answered");
  });

  it("gives the place of a caller who left to the next", async () => {
    await using stack = new AsyncDisposableStack();
    const { held, connect } = await startSlow(stack, { queue: 10 });
    const client = connect();
    const gone = new AbortController();
    const left = client.channel.unaryCall(putPath, [], put, { signal: gone.signal }).catch(() => "left");
    await reached(held, 1);
    const next = ask(client, putPath, put);
    gone.abort();
    expect(await left).toBe("left");
    await reached(held, 2);
    held[1]?.();
    expect(await next).toBe("answered");
  });
});
