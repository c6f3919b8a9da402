import {
  create,
  etcdErrors,
  fromBinary,
  type MessageInitShape,
  type RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  RangeRequestSchema,
  type RangeResponse,
  RangeResponseSchema,
  RangeStreamResponseSchema,
  type Rpc,
  rpcOf,
  toBinary,
} from "@etcd-edge/proto";
import { systemClock } from "@etcd-edge/runtime";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Reply } from "../door/reply.ts";
import { ClientPresence } from "../http/client-presence.ts";
import { encodeJson } from "../json/encode.ts";
import { frameStyles } from "../profile/json-profile.ts";
import { type Upstream, UpstreamError, type UpstreamStream } from "../upstream/upstream.ts";
import { PageSizes } from "./page-sizes.ts";
import { RangePages } from "./range-pages.ts";
import { RangeStreams } from "./range-streams.ts";
import { serveRange } from "./serve-range.ts";

const style = frameStyles.base64;
const targetBytes = 100;

/** A store that answers Range as etcd does, at one revision. */
class FakeStore implements Upstream {
  readonly asked: RangeRequest[] = [];
  readonly streamed: RangeRequest[] = [];
  cancelled = 0;
  /** After how many chunks a stream breaks off; 0 for no such method. */
  chunks: number | "whole" = 0;
  readonly #sizes: readonly number[];
  /** What a request is refused with. */
  refuse: (request: RangeRequest, index: number) => UpstreamError | undefined = () => undefined;

  constructor(sizes: readonly number[]) {
    this.#sizes = sizes;
  }

  answer(request: RangeRequest): Uint8Array {
    const all = this.#sizes.map((size, i) => ({
      key: Buffer.from(`k${String(i).padStart(3, "0")}`),
      value: new Uint8Array(size),
      modRevision: BigInt(i + 1),
    }));
    const left = all.filter(({ key }) => Buffer.compare(key, request.key) >= 0);
    const kvs = request.limit > 0n ? left.slice(0, Number(request.limit)) : left;
    const answer = {
      header: { revision: 77n + BigInt(Math.max(0, this.asked.length - 1)) },
      kvs,
      more: kvs.length < left.length,
      count: BigInt(left.length),
    };
    return toBinary(RangeResponseSchema, create(RangeResponseSchema, answer));
  }

  async unary(_call: unknown, bytes: Uint8Array) {
    const request = fromBinary(RangeRequestSchema, bytes);
    const refusal = this.refuse(request, this.asked.length);
    this.asked.push(request);
    if (refusal !== undefined) throw refusal;
    return { message: this.answer(request), headers: [] };
  }

  /** RangeStream: chunks of three keys, header and count with the last. */
  async open({ rpc }: { rpc: Rpc }): Promise<UpstreamStream> {
    expect(rpc.path).toBe("/etcdserverpb.KV/RangeStream");
    const chunks: RangeResponse[] = [];
    let left = this.chunks === "whole" ? Number.POSITIVE_INFINITY : this.chunks;
    return {
      headers: [],
      send: async (bytes) => {
        const request = fromBinary(RangeRequestSchema, bytes);
        this.streamed.push(request);
        const { header, kvs, more, count } = fromBinary(RangeResponseSchema, this.answer(request));
        for (let i = 0; i < kvs.length; i += 3)
          chunks.push(create(RangeResponseSchema, { kvs: kvs.slice(i, i + 3) }));
        Object.assign(chunks.at(-1) ?? {}, { header, more, count });
      },
      halfClose: () => {},
      receive: async () => {
        if (left-- <= 0) throw this.chunks === 0 ? noSuchMethod : lost;
        const rangeResponse = chunks.shift();
        if (rangeResponse === undefined) return undefined;
        return toBinary(RangeStreamResponseSchema, create(RangeStreamResponseSchema, { rangeResponse }));
      },
      cancel: () => void this.cancelled++,
    };
  }
}

class Text implements Pick<Reply, "unary" | "part" | "end" | "breakOff"> {
  parts: string[] = [];
  state: "open" | "ended" | "broken" = "open";

  unary(text: string): void {
    this.parts.push(text);
    this.state = "ended";
  }

  async part(text: string): Promise<void> {
    this.parts.push(text);
  }

  end(): void {
    this.state = "ended";
  }

  breakOff(): void {
    this.state = "broken";
  }
}

const noSuchMethod = new UpstreamError({ status: 12, message: "unknown method", origin: "server" });
const lost = new UpstreamError({ status: 14, message: "connection lost", origin: "local" });
const everything = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };

async function read(
  store: FakeStore,
  fields: MessageInitShape<typeof RangeRequestSchema> = {},
  sizes = new PageSizes(targetBytes),
  streams = new RangeStreams(systemClock),
) {
  const request = create(RangeRequestSchema, { ...everything, ...(fields as object) });
  const pages = RangePages.of(request, sizes);
  if (pages === undefined) throw new Error("has to be read in one");
  const reply = new Text();
  const presence = new ClientPresence();
  const upstreamCall = () => ({
    rpc: rpcOf("/etcdserverpb.KV/Range"),
    metadata: [],
    timeoutMs: undefined,
    presence,
  });
  await serveRange(
    { upstream: store, streams, reply: reply as unknown as Reply, style, upstreamCall },
    pages,
  );
  return reply;
}

describe("a range in pages", () => {
  it("is the JSON of the range in one, whatever the sizes, the limit, the pages, and what comes of a stream", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(60), { maxLength: 60 }),
        fc.nat(70),
        fc.boolean(),
        fc.oneof(fc.constant("whole" as const), fc.nat(8)),
        async (sizes, limit, twice, chunks) => {
          const learned = new PageSizes(targetBytes);
          const store = new FakeStore(sizes);
          store.chunks = chunks;
          const fields = { limit: BigInt(limit) };
          if (twice) await read(new FakeStore(sizes), fields, learned);
          const reply = await read(store, fields, learned);
          const asked = create(RangeRequestSchema, { ...everything, ...fields });
          const whole = fromBinary(RangeResponseSchema, new FakeStore(sizes).answer(asked));
          expect(reply.state).toBe("ended");
          expect(reply.parts.join("")).toBe(encodeJson(RangeResponseSchema, whole, style));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("is read at the revision of its first page, in pages that fit what is known of the sizes", async () => {
    const store = new FakeStore(Array.from({ length: 100 }, () => 20));
    const sizes = new PageSizes(1_000);
    await read(store, {}, sizes);
    expect(store.asked.map(({ revision }) => revision)).toEqual([0n, ...store.asked.slice(1).map(() => 77n)]);
    expect(store.asked[0]?.limit).toBe(16n);
    expect(store.asked[1]?.limit).toBeGreaterThan(16n);
    const again = new FakeStore(Array.from({ length: 20 }, () => 20));
    await read(again, {}, sizes);
    expect(again.asked).toHaveLength(1);
  });

  it("is streamed behind its first page, at its revision, where etcd has RangeStream", async () => {
    const store = new FakeStore(Array.from({ length: 100 }, () => 20));
    store.chunks = "whole";
    const reply = await read(store, { limit: 90n });
    expect(reply.state).toBe("ended");
    expect(JSON.parse(reply.parts.join("")).kvs).toHaveLength(90);
    expect([store.asked.length, store.streamed.length, store.cancelled]).toEqual([1, 1, 1]);
    expect(store.streamed[0]).toMatchObject({
      revision: 77n,
      limit: 74n,
      key: Uint8Array.from(Buffer.from("k015\0")),
    });
  });

  it("asks for pages where RangeStream is missing, and not for a stream again within a minute", async () => {
    let nowMs = 0;
    const streams = new RangeStreams({ nowMs: () => nowMs, setTimer: () => ({ stop: () => {} }) });
    const store = new FakeStore(Array.from({ length: 100 }, () => 20));
    const tries: number[] = [];
    for (nowMs of [0, 59_999, 60_000]) {
      expect((await read(store, {}, new PageSizes(targetBytes), streams)).state).toBe("ended");
      tries.push(store.streamed.length);
    }
    expect(tries).toEqual([1, 1, 2]);
  });

  it("goes on in pages behind the last key of a stream that was cut off", async () => {
    const store = new FakeStore(Array.from({ length: 100 }, () => 20));
    store.chunks = 2;
    const reply = await read(store);
    expect(JSON.parse(reply.parts.join("")).kvs).toHaveLength(100);
    expect(store.asked[1]).toMatchObject({ revision: 77n, key: Uint8Array.from(Buffer.from("k021\0")) });
  });

  it.each([
    ["one key", { rangeEnd: new Uint8Array() }],
    ["a sort", { sortOrder: RangeRequest_SortOrder.ASCEND, sortTarget: RangeRequest_SortTarget.VALUE }],
    ["a sort by default", { sortTarget: RangeRequest_SortTarget.MOD }],
    ["from the end", { sortOrder: RangeRequest_SortOrder.DESCEND }],
    ["a filter", { minModRevision: 1n }],
    ["a count", { countOnly: true }],
  ])("cannot be %s", (_, fields) => {
    const request = create(RangeRequestSchema, { ...everything, ...fields });
    expect(RangePages.of(request, new PageSizes(targetBytes))).toBeUndefined();
  });

  it("asks for a page again where an endpoint is lost, and of a quorum where a member is behind", async () => {
    const store = new FakeStore(Array.from({ length: 40 }, () => 20));
    const { message, code } = etcdErrors.futureRevision;
    store.refuse = ({ serializable }, index) => {
      if (index === 1) return new UpstreamError({ status: 14, message: "connection lost", origin: "local" });
      if (index > 1 && serializable) return new UpstreamError({ status: code, message, origin: "server" });
      return undefined;
    };
    const reply = await read(store, { serializable: true });
    expect(reply.state).toBe("ended");
    expect(JSON.parse(reply.parts.join("")).kvs).toHaveLength(40);
  });

  it("is broken off where a later page fails, and fails as a whole where the first does", async () => {
    const store = new FakeStore(Array.from({ length: 40 }, () => 20));
    const compacted = new UpstreamError({ status: 11, message: "compacted", origin: "server" });
    store.refuse = (_, index) => (index === 2 ? compacted : undefined);
    expect((await read(store)).state).toBe("broken");
    store.refuse = () => compacted;
    await expect(read(store)).rejects.toBe(compacted);
  });
});
