import { Buffer } from "node:buffer";
import { Channel } from "@etcd-edge/transport";
import { watchLoop } from "../loop-pause.ts";
import { readMemory } from "../memory.ts";

/*
 * Child process: makes calls at a steady rate until it is killed, of sizes from nothing to 64 KiB, with deadlines, one
 * in a hundred cancelled at once. Answers each message of its parent with what it did so far and its memory.
 * Arguments: port, calls per second.
 */
const [port = 0, rate = 0] = process.argv.slice(2).map(Number);
const TICK_MS = 5;
const counts = { ok: 0, cancelled: 0, failed: 0 };
/** How many failed how, and when the first of each kind did. */
const failures: Record<string, { count: number; firstAtMs: number }> = {};
const bodies = [0, 20, 100, 1000, 65_536].map((bytes) => Buffer.alloc(bytes, 1));
const channel = new Channel({ endpoint: { host: "127.0.0.1", port }, maxConnections: 4 });
const sink = {
  onMessage: (): void => {},
  onEnd: ({ code, message, progress }: { code: number; message: string; progress: string }): void => {
    if (code === 0) counts.ok++;
    else if (code === 1) counts.cancelled++;
    else {
      counts.failed++;
      // "notSent": it never left this process. "sent": the server, or the way there and back, held it.
      const kind = `${code} ${message} (${progress})`;
      failures[kind] ??= { count: 0, firstAtMs: Math.round(performance.now() - started) };
      failures[kind].count++;
    }
  },
};

const longestPauseMs = watchLoop();
let made = 0;
const started = performance.now();
setInterval(() => {
  const due = Math.floor(((performance.now() - started) / 1000) * rate);
  for (; made < due; made++) {
    // Large bodies are one in a hundred: the load is about calls, not bulk.
    const body = bodies[made % 100 === 50 ? 4 : made % 4] ?? Buffer.alloc(0);
    const metadata = ["token", `user-${made % 50}`];
    const call = channel.open(
      "/bench.Bench/Unary",
      metadata,
      { deadlineAt: performance.now() + 10_000 },
      sink,
    );
    call.sendMessage(body, true);
    if (made % 100 === 99) call.cancel();
  }
}, TICK_MS);

process.on("message", () => {
  const { callsStarted, callsEnded } = channel.counters;
  const { active, waiting } = channel.load;
  const pauseMs = longestPauseMs();
  process.send?.({
    ...counts,
    failures,
    pauseMs,
    active,
    waiting,
    callsStarted,
    callsEnded,
    ...readMemory(),
  });
});
