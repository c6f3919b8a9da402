import type { SessionPort } from "@etcd-edge/coalesce";
import { rpcOf } from "@etcd-edge/proto";
import { ClientPresence } from "../../src/http/client-presence.ts";
import { type Upstream, UpstreamError, type UpstreamStream } from "../../src/upstream/upstream.ts";
import type { DoorSession, WatchHost } from "../../src/watch/watch-host.ts";

const nothing = new Uint8Array(0);

/** Each session is one call of the test's upstream, and what that sends is what its client gets. */
export class RelayedWatches implements WatchHost<RelayedSession> {
  readonly #upstream: Upstream;
  readonly #sessions = new Set<RelayedSession>();

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  openSession(port: SessionPort, client: Parameters<WatchHost["openSession"]>[1]): RelayedSession {
    const token = client.identity.credential();
    const metadata = token === undefined ? [] : ["token", token];
    if (client.requiresLeader) metadata.push("hasleader", "true");
    const presence = new ClientPresence();
    const rpc = rpcOf("/etcdserverpb.Watch/Watch");
    const session = new RelayedSession(
      port,
      this.#upstream.open({ rpc, metadata, timeoutMs: undefined, presence }),
    );
    this.#sessions.add(session);
    return session;
  }

  closed(session: RelayedSession): void {
    this.#sessions.delete(session);
  }

  drain(): void {
    for (const session of this.#sessions) session.end(14, "gateway is shutting down");
  }
}

class RelayedSession implements DoorSession {
  readonly #port: SessionPort;
  readonly #stream: Promise<UpstreamStream>;
  #drained = Promise.resolve();
  #wake: (() => void) | undefined;
  #isOver = false;

  constructor(port: SessionPort, stream: Promise<UpstreamStream>) {
    this.#port = port;
    this.#stream = stream;
    void this.#run();
  }

  onMessage(payload: Uint8Array): void {
    void this.#stream.then((stream) => stream.send(payload));
  }

  onDrain(): void {
    this.#wake?.();
  }

  close(): void {
    this.#isOver = true;
    this.#wake?.();
    void this.#stream.then((stream) => stream.cancel());
  }

  end(status: number, message: string): void {
    if (this.#isOver) return;
    this.close();
    this.#port.end(status, message);
  }

  async #run(): Promise<void> {
    const stream = await this.#stream;
    try {
      for (;;) {
        const message = await stream.receive();
        if (message === undefined || this.#isOver) return;
        if (!this.#port.send(message, nothing)) {
          this.#drained = new Promise((resolve) => {
            this.#wake = resolve;
          });
          await this.#drained;
        }
      }
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      this.end(error.status, error.message);
    }
  }
}
