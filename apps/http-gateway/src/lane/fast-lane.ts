import type { Socket } from "node:net";
import type { Clock, Timer } from "@etcd-edge/runtime";
import { LaneConnection, type LaneRequest, type LaneRoute } from "./lane-connection.ts";

export interface FastLaneOptions<R extends LaneRoute> {
  readonly clock: Clock;
  readonly readRoute: (bytes: Buffer) => R | undefined;
  readonly serve: (request: LaneRequest<R>) => void;
  /** Who reads all of HTTP: takes a connection as if it were new. */
  readonly toHttp: (socket: Socket) => void;
  /** Longest time until something comes on a new connection, in milliseconds. */
  readonly headerTimeoutMs: number;
  /** Longest time between two requests, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Connections are looked at so often, in milliseconds. */
  readonly checkIntervalMs: number;
  readonly onHandedOver: () => void;
}

/**
 * A lane in front of node:http for requests that leave nothing to interpretation, which are nearly all: they are read from the
 * socket and answered by one write, without the streams and timers that Node makes for each. A connection on which anything else
 * comes is handed to Node with the bytes that came, for the rest of its life. Disposing stops the clock of idle connections.
 */
export class FastLane<R extends LaneRoute> implements Disposable {
  readonly #options: FastLaneOptions<R>;
  readonly #connections = new Set<LaneConnection<R>>();
  #timer: Timer;

  constructor(options: FastLaneOptions<R>) {
    this.#options = options;
    this.#timer = this.#arm();
  }

  /** Takes a new connection, of which nothing was read. */
  add(socket: Socket): void {
    const { clock, readRoute, serve, toHttp, onHandedOver } = this.#options;
    const connection = new LaneConnection(socket, {
      readRoute,
      serve,
      handOver: (handed, bytes) => {
        onHandedOver();
        toHttp(handed);
        // Behind Node's own listeners: it reads what stands in the stream before what comes from the kernel.
        handed.unshift(bytes);
      },
      onLeft: () => this.#connections.delete(connection),
      nowMs: () => clock.nowMs(),
    });
    this.#connections.add(connection);
  }

  /** Closes connections that carry no request. */
  closeIdle(): void {
    for (const connection of this.#connections) connection.closeIdle();
  }

  [Symbol.dispose](): void {
    this.#timer.stop();
  }

  #arm(): Timer {
    const { clock, checkIntervalMs, headerTimeoutMs, idleTimeoutMs } = this.#options;
    return clock.setTimer(checkIntervalMs, () => {
      this.#timer = this.#arm();
      const limits = { freshMs: headerTimeoutMs, keptMs: idleTimeoutMs };
      for (const connection of this.#connections) connection.expire(clock.nowMs(), limits);
    });
  }
}
