import type { SessionPort, WatchCount } from "@etcd-edge/coalesce";
import type { WatchIdentity } from "@etcd-edge/watching";

/** A client's stream of watches, as far as the door needs it. `WatchSession` is one. */
export interface DoorSession {
  /** Takes the bytes of a WatchRequest. */
  onMessage(payload: Uint8Array): void;
  /** The client takes more. */
  onDrain(): void;
  /** The stream is over. Twice is fine. */
  close(): void;
}

/** Who opens sessions, over which all clients share what etcd is asked to watch: `WatchService`. */
export interface WatchHost<Session extends DoorSession = DoorSession> {
  openSession(
    port: SessionPort,
    client: {
      readonly identity: WatchIdentity;
      readonly requiresLeader: boolean;
      readonly connection: WatchCount;
    },
  ): Session;
  /** To be called once for each session, when it is over. */
  closed(session: Session): void;
}

/** Opens a client's stream; what it answers ends it. Made from a {@link WatchHost}, so that nobody else need know its sessions. */
export type OpenWatch = (port: SessionPort, client: Parameters<WatchHost["openSession"]>[1]) => OpenedWatch;

/** A stream, and how to be rid of it. */
export interface OpenedWatch {
  readonly session: DoorSession;
  /** Ends it from this side. Twice is fine. */
  close(): void;
}

export function createOpenWatch<Session extends DoorSession>(host: WatchHost<Session>): OpenWatch {
  return (port, client) => {
    const session = host.openSession(port, client);
    let isOver = false;
    return {
      session,
      close: () => {
        if (isOver) return;
        isOver = true;
        session.close();
        host.closed(session);
      },
    };
  };
}
