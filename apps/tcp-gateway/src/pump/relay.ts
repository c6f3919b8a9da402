import type { Socket } from "node:net";
import { adoptSocket } from "./adopt-socket.ts";
import type { Direction } from "./direction.ts";

export type RelayEnds = {
  /** Accepted and paused; not to be used by anybody afterwards. */
  readonly accepted: Socket;
  /** Something was read from `accepted` already, so it has to be read by its events. */
  readonly isReadBefore?: boolean;
  /** Connected, made with the `onread` of `fromUpstream`. */
  readonly upstream: Socket;
  readonly fromClient: Direction;
  readonly fromUpstream: Direction;
};

/** A pair of sockets that pass on what they read. */
export type Relay = {
  /** Resolves when both sockets are closed. Never rejects. */
  readonly closed: Promise<void>;
  /** Cuts both connections. */
  destroy(): void;
};

/**
 * Joins two connections until both have ended. The end of one side's sending is passed on and the other direction
 * continues; an error or a reset of one side resets the other.
 */
export function startRelay({
  accepted,
  isReadBefore = false,
  upstream,
  fromClient,
  fromUpstream,
}: RelayEnds): Relay {
  const adopted = isReadBefore ? undefined : adoptSocket(accepted, fromClient.onread);
  const client = adopted ?? accepted;
  fromClient.connect(client, upstream, { byEvents: adopted === undefined });
  fromUpstream.connect(upstream, client);
  const closed = Promise.all([whenClosed(client, upstream), whenClosed(upstream, client)]).then(
    () => undefined,
  );
  client.resume();
  return {
    closed,
    destroy() {
      client.destroy();
      upstream.destroy();
    },
  };
}

function reset(socket: Socket): void {
  if (socket.remoteFamily === undefined)
    socket.destroy(); // unix sockets know no reset
  else socket.resetAndDestroy();
}

function whenClosed(socket: Socket, other: Socket): Promise<void> {
  return new Promise((resolve) => {
    let hasFailed = false;
    socket.once("error", () => {
      hasFailed = true;
    });
    socket.once("close", () => {
      // A clean close has passed on its end already and lets the other finish; a broken one must look broken.
      if (hasFailed) reset(other);
      else if (!socket.readableEnded) other.destroy();
      resolve();
    });
  });
}
