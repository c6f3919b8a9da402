import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LaneConnection, type LaneRequest, type LaneRoute } from "./lane-connection.ts";
import { readPlainHead } from "./plain-head.ts";

/** A socket of which both ends are in the test's hand. */
class TestSocket extends Duplex {
  written = "";
  /** Says that the peer took what was written last. */
  accept: () => void = () => {};

  constructor() {
    super({ writableHighWaterMark: 100, allowHalfOpen: true });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk.toString("latin1");
    this.accept = done;
  }

  destroySoon(): void {
    this.end(() => this.destroy());
  }
}

const ask = (body: string, more = ""): Buffer =>
  Buffer.from(
    `POST /v3/kv/range HTTP/1.1\r\nHost: a\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`,
  );
const listened = ["data", "end", "error", "close", "drain"] as const;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let socket: TestSocket;
let connection: LaneConnection<LaneRoute>;
let served: LaneRequest<LaneRoute>[];
let handed: string[];
let counts: { left: number };
let nowMs: number;
/** Listeners that every stream has of its own. */
let listenersBefore: number[];

const bodies = (): string[] => served.map(({ body }) => body.toString());
const answer = (request: LaneRequest<LaneRoute> | undefined, text: string, isLast = false): void =>
  request?.answer(Buffer.from(text), isLast);
const countListeners = (): number[] => listened.map((name) => socket.listenerCount(name));

beforeEach(() => {
  socket = new TestSocket();
  listenersBefore = countListeners();
  served = [];
  handed = [];
  // A socket of the test before may close during this one.
  const own = { left: 0 };
  counts = own;
  nowMs = 0;
  connection = new LaneConnection(socket as unknown as Socket, {
    readRoute: (bytes) => {
      const head = readPlainHead(bytes);
      return head && { head };
    },
    serve: (request) => served.push(request),
    handOver: (_socket, bytes) => handed.push(bytes.toString()),
    onLeft: () => own.left++,
    nowMs: () => nowMs,
  });
});

afterEach(() => {
  socket.destroy();
});

describe("a connection in the lane", () => {
  it("is asked for one thing at a time, in order", async () => {
    socket.push(Buffer.concat([ask("a"), ask("b"), ask("c")]));
    await turn();
    expect(bodies()).toEqual(["a"]);
    answer(served[0], "1");
    socket.accept();
    answer(served[1], "2");
    socket.accept();
    expect(bodies()).toEqual(["a", "b", "c"]);
    expect(socket.written).toBe("12");
  });

  it("asks for nothing while the client takes nothing", async () => {
    socket.push(Buffer.concat([ask("a"), ask("b")]));
    await turn();
    answer(served[0], "x".repeat(200));
    await turn();
    expect(bodies()).toEqual(["a"]);
    socket.accept();
    await turn();
    expect(bodies()).toEqual(["a", "b"]);
  });

  it("reads no more than two chunks ahead, and goes on where it stopped", async () => {
    for (const body of ["a", "b", "c", "d"]) {
      socket.push(ask(body));
      await turn();
    }
    expect(socket.isPaused()).toBe(true);
    expect(bodies()).toEqual(["a"]);
    for (let i = 0; i < 4; i++) {
      answer(served[i], ".");
      socket.accept();
      await turn();
    }
    expect(bodies()).toEqual(["a", "b", "c", "d"]);
    expect(socket.isPaused()).toBe(false);
  });

  it("hands over what is not plain, with what follows and without a listener of its own", async () => {
    socket.push(Buffer.concat([ask("a"), ask("b", "Expect: 100-continue\r\n"), ask("c")]));
    await turn();
    expect(handed).toEqual([]);
    answer(served[0], ".");
    expect(handed).toEqual([`${ask("b", "Expect: 100-continue\r\n")}${ask("c")}`]);
    expect([counts.left, countListeners()]).toEqual([1, listenersBefore]);
  });

  it.each([
    ["in its head", (bytes: Buffer) => bytes.subarray(0, 20)],
    ["in its body", (bytes: Buffer) => bytes.subarray(0, -1)],
  ])("hands over a request that is cut %s", async (_, cut) => {
    socket.push(cut(ask("body")));
    await turn();
    expect([served.length, handed]).toEqual([0, [cut(ask("body")).toString()]]);
  });

  it("hands over a request that is declined, with what came meanwhile, and reads on", async () => {
    for (const body of ["a", "b", "c"]) {
      socket.push(ask(body));
      await turn();
    }
    served[0]?.decline();
    expect(handed).toEqual([`${ask("a")}${ask("b")}${ask("c")}`]);
    expect(socket.isPaused()).toBe(false);
    answer(served[0], "too late");
    expect(socket.written).toBe("");
  });

  it("closes behind the last answer, once it is taken, whatever follows", async () => {
    socket.push(Buffer.concat([ask("a"), ask("b")]));
    await turn();
    answer(served[0], ".", true);
    expect(socket.destroyed).toBe(false);
    socket.accept();
    await turn();
    expect([bodies(), socket.written, socket.destroyed, counts.left]).toEqual([["a"], ".", true, 1]);
  });

  it("tells a call that its client has gone, and takes no answer then", async () => {
    socket.push(ask("a"));
    await turn();
    expect(served[0]?.presence.isGone).toBe(false);
    socket.destroy(new Error("reset"));
    await turn();
    expect([served[0]?.presence.isGone, counts.left]).toEqual([true, 1]);
    answer(served[0], "too late");
    served[0]?.decline();
    expect([socket.written, handed]).toEqual(["", []]);
  });

  it("answers nobody who has closed his side, as node:http", async () => {
    socket.push(ask("a"));
    socket.push(null);
    await turn();
    answer(served[0], "too late");
    await turn();
    expect([served[0]?.presence.isGone, socket.written]).toEqual([true, ""]);
  });

  it("survives thousands of requests that are answered on the spot", async () => {
    const many = 20_000;
    let count = 0;
    socket.destroy();
    socket = new TestSocket();
    new LaneConnection(socket as unknown as Socket, {
      readRoute: (bytes) => {
        const head = readPlainHead(bytes);
        return head && { head };
      },
      serve: (request) => {
        count++;
        answer(request, "");
      },
      handOver: () => {},
      onLeft: () => {},
      nowMs: () => 0,
    });
    socket.push(Buffer.concat(Array.from({ length: many }, () => ask("a"))));
    await turn();
    expect(count).toBe(many);
  });
});

describe("an idle connection", () => {
  const limits = { freshMs: 10, keptMs: 20 };

  it("is told 408 when nothing ever comes", () => {
    connection.expire(9, limits);
    expect(socket.destroyed).toBe(false);
    connection.expire(10, limits);
    expect([socket.written, socket.destroyed]).toEqual([
      "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
      true,
    ]);
  });

  it("is closed when no further request comes, but not during one", async () => {
    socket.push(ask("a"));
    await turn();
    connection.expire(1_000, limits);
    connection.closeIdle();
    expect(socket.destroyed).toBe(false);
    nowMs = 1_000;
    answer(served[0], ".");
    connection.expire(1_019, limits);
    expect(socket.destroyed).toBe(false);
    connection.expire(1_020, limits);
    expect([socket.written, socket.destroyed]).toEqual([".", true]);
  });

  it("is closed when the server closes, but for one whose first request may be under way", async () => {
    connection.closeIdle();
    expect(socket.destroyed).toBe(false);
    socket.push(ask("a"));
    await turn();
    answer(served[0], ".");
    connection.closeIdle();
    expect(socket.destroyed).toBe(true);
  });
});
