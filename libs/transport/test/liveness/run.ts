import { Buffer } from "node:buffer";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Random } from "@etcd-edge/testkit";
import { serverLimits } from "../../src/http2/limits.ts";
import type { ClientCall, ServerCall, ServerSink } from "../../src/index.ts";
import { relayTo } from "../support/relay.ts";
import { createHop, type Hop } from "./hop.ts";

/** What became of the calls of one run. */
export interface Ends {
  readonly opened: number;
  /** How many ended with each code. */
  readonly codes: Readonly<Record<number, number>>;
  /** Calls that never ended though nothing moved any more: empty, or there is a fault. */
  readonly stuck: readonly string[];
  /** What a connection still counts as held or queued when all is over. */
  readonly leaks: readonly string[];
}

const CALLS = 250;
/** Turns without a byte on any link after which nothing will ever come. */
const QUIET_TURNS = 60;
const sizes = [0, 1, 100, 5000, 16_379, 16_380, 65_536, 150_000];

/**
 * Drives calls of all kinds through client, relay and server over two links that cut, delay and hold back bytes as
 * chance has it, with windows and stream limits small enough to be reached all the time.
 */
export async function runCalls(seed: number): Promise<Ends> {
  const random = new Random(seed);
  const later: { turn: number; act: () => void }[] = [];
  let turn = 0;
  const soon = (act: () => void): void => {
    later.push({ turn: turn + random.below(30), act });
  };
  const limits = (): typeof serverLimits => ({
    ...serverLimits,
    streamWindowBytes: random.pick([1000, 20_000, 65_535, 262_144]),
    connectionWindowBytes: random.pick([65_535, 100_000, 1_048_576]),
    resetFlood: { burst: 1e9, perSecond: 1e9 },
    emptyFrameFlood: { burst: 1e9, perSecond: 1e9 },
    windowUpdateFlood: { burst: 1e9, perSecond: 1e9 },
  });
  const streams = (): number => random.pick([1, 7, 50, 1000]);
  const last = createHop({
    limits: limits(),
    maxConcurrentStreams: streams(),
    onCall: (call) => moody(call, random, soon),
  });
  const first = createHop({
    limits: limits(),
    maxConcurrentStreams: streams(),
    onCall: relayTo({ open: last.open }),
  });
  const open = new Map<number, ClientCall>();
  const codes: Record<number, number> = {};
  let opened = 0;
  for (let quiet = 0; quiet < QUIET_TURNS; turn++) {
    if (opened < CALLS && random.chance(60)) {
      for (let burst = random.below(12); burst > 0 && opened < CALLS; burst--) {
        const id = opened++;
        openCall(first, random, soon, (call) => {
          open.set(id, call);
          return (code) => {
            if (!open.delete(id)) throw new Error(`call ${id} ended twice`);
            codes[code] = (codes[code] ?? 0) + 1;
          };
        });
      }
    }
    for (const item of later.filter((entry) => entry.turn <= turn)) {
      later.splice(later.indexOf(item), 1);
      item.act();
    }
    const moved = [first.link.turn(random), last.link.turn(random)].includes(true);
    quiet = moved || later.length > 0 || opened < CALLS ? 0 : quiet + 1;
    await nextTurn();
  }
  const stuck = [...open].map(([id, call]) => `${id}: ${describe(call)}`);
  const leaks = stuck.length > 0 ? [] : [...leaksOf("first", first), ...leaksOf("last", last)];
  for (const { client, server } of [first, last]) {
    client.destroy("end of run");
    server.destroy("end of run");
  }
  return { opened, codes, stuck, leaks };
}

/** A server that echoes, or answers early, late, much, or not as asked. */
function moody(
  call: ServerCall<undefined>,
  random: Random,
  soon: (act: () => void) => void,
): ServerSink<undefined> {
  const mood = random.below(100);
  if (mood < 5) call.end({ code: 7, message: "not today" });
  return {
    onMessage: (payload) => {
      if (mood < 15) call.respond(payload);
      else if (mood < 18) call.reset(8);
      else if (mood < 40) {
        call.pause();
        call.sendMessage(payload);
        soon(() => call.resume());
      } else if (!call.sendMessage(payload)) call.pause();
    },
    onDrain: () => call.resume(),
    onHalfClose: () => {
      if (mood % 2 === 0) call.end();
      else soon(() => call.end({ code: 0, metadata: ["x-late", "1"] }));
    },
    onCancel: () => {},
  };
}

function openCall(
  hop: Hop,
  random: Random,
  soon: (act: () => void) => void,
  enter: (call: ClientCall) => (code: number) => void,
): void {
  const mood = random.below(100);
  let onEnd: (code: number) => void = () => {};
  let left = mood < 60 ? 1 : random.below(6);
  const call = hop.open(
    "/live/Ness",
    ["token", `user-${random.below(9)}`],
    {},
    {
      onMessage: (_payload, self) => {
        if (mood % 7 !== 0) return;
        self.pause();
        soon(() => self.resume());
      },
      onDrain: () => send(),
      onEnd: ({ code }) => onEnd(code),
    },
  );
  onEnd = enter(call);
  const send = (): void => {
    while (left > 0) {
      left--;
      if (!call.sendMessage(Buffer.alloc(random.pick(sizes), 1), left === 0)) return;
    }
    call.halfClose();
  };
  send();
  // Some give up: at once, or in the middle.
  if (mood % 10 === 9) call.cancel();
  if (mood % 10 === 8) soon(() => call.cancel());
}

function describe(call: ClientCall): string {
  return `stream ${call.id}, phase ${call.phase}, ${call.queuedBytes} queued, window ${call.sendWindow} of ${call.connection?.out.sendWindow}, paused ${call.isPaused}`;
}

function leaksOf(name: string, { client, server }: Hop): string[] {
  return Object.entries({ client, server }).flatMap(([role, { held, queued, streams }]) =>
    held.used + queued.used + streams.size === 0
      ? []
      : [`${name} ${role}: ${held.used} held, ${queued.used} queued, ${streams.size} streams`],
  );
}
