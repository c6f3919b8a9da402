import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Cutter } from "./nats-messages.ts";
import { RelayDirection } from "./relay-direction.ts";
import type { RelayWeather } from "./relay-weather.ts";

/** Passes bytes to an address and understands none of them. Disposing cuts every connection. */
export interface FaultRelay extends AsyncDisposable {
  /** `127.0.0.1:port`, where it listens. */
  readonly address: string;
  /** Connections that are open now. */
  readonly connections: number;
  /** Chunks or pieces that were lost here since it was started. */
  readonly lost: number;
  /** From now on, for connections that are and that come. `{}` is fair weather. */
  setWeather(weather: RelayWeather): void;
  /** Ends every connection at once, as a reset. */
  cut(): void;
  /** New connections go there; those that are open are cut. */
  retarget(address: string): void;
}

/**
 * Starts one on a free port of 127.0.0.1.
 *
 * @param target `host:port`
 * @param chance a number in [0, 1) for every decision; Math.random where nothing else is given
 * @param createCutter for each connection: makes pieces of what the target says, so that whole messages are lost and not bytes
 */
export async function startFaultRelay(
  target: string,
  chance: () => number = Math.random,
  createCutter?: () => Cutter,
): Promise<FaultRelay> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const directions = new Set<RelayDirection>();
  let weather: RelayWeather = {};
  let upstreamAddress = target;
  let lostBefore = 0; // by connections that are gone

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const [host = "", port = ""] = upstreamAddress.split(":");
    const upstream = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
    const pair = [client, upstream] as const;
    const ways = [
      new RelayDirection(client, upstream, () => weather, chance),
      new RelayDirection(upstream, client, () => weather, chance, createCutter?.()),
    ];
    pairs.add(pair);
    for (const way of ways) directions.add(way);
    for (const [socket, other] of [pair, pair.toReversed() as [Socket, Socket]]) {
      socket.on("error", () => {}); // its close says it
      socket.on("close", () => {
        pairs.delete(pair);
        for (const way of ways) if (directions.delete(way)) lostBefore += way.lost;
        other.destroy();
      });
    }
  });
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");

  const cut = (): void => {
    for (const [client, upstream] of pairs) {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    }
  };
  let isOver = false;
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return pairs.size;
    },
    get lost() {
      return [...directions].reduce((sum, way) => sum + way.lost, lostBefore);
    },
    setWeather: (next) => {
      weather = next;
      for (const way of directions) way.weatherChanged();
    },
    cut,
    retarget: (address) => {
      upstreamAddress = address;
      cut();
    },
    [Symbol.asyncDispose]: async () => {
      if (isOver) return;
      isOver = true;
      const closed = once(server, "close");
      server.close();
      for (const [client, upstream] of pairs) {
        client.destroy();
        upstream.destroy();
      }
      await closed;
    },
  };
}
