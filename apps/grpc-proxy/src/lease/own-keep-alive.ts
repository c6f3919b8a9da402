import {
  type ClientCall,
  type ClientSink,
  NO_METADATA,
  type Outcome,
  StatusCode,
} from "@etcd-edge/transport";

/** Opens a stream of LeaseKeepAlive with the client's own metadata. Nothing where there is no endpoint. */
export type OpenOwnStream = (sink: ClientSink) => ClientCall | undefined;

export interface OwnKeepAliveListener {
  onReply(payload: Uint8Array): void;
  /** Every request that was sent has its reply, or etcd ended the stream after the client's half-close. */
  onIdle(): void;
  onFailure(outcome: Outcome): void;
}

/**
 * Renewals that must not be shared, for they say something that the schema does not know (rule 35): passed as bytes over a
 * stream that is this client's alone, opened with the first of them.
 */
export class OwnKeepAlive {
  readonly #open: OpenOwnStream;
  readonly #listener: OwnKeepAliveListener;
  #call: ClientCall | undefined;
  #pending = 0;

  constructor(open: OpenOwnStream, listener: OwnKeepAliveListener) {
    this.#open = open;
    this.#listener = listener;
  }

  get isIdle(): boolean {
    return this.#pending === 0;
  }

  send(payload: Uint8Array): void {
    this.#call ??= this.#open(this.#sink);
    if (this.#call === undefined) {
      const message = "no etcd endpoint is available";
      this.#listener.onFailure({
        code: StatusCode.unavailable,
        message,
        metadata: NO_METADATA,
        progress: "notSent",
      });
      return;
    }
    this.#pending++;
    this.#call.sendMessage(payload);
  }

  halfClose(): void {
    this.#call?.halfClose();
  }

  cancel(): void {
    const call = this.#call;
    this.#call = undefined;
    call?.cancel();
  }

  readonly #sink: ClientSink = {
    onMessage: (payload) => {
      this.#listener.onReply(payload);
      this.#pending--;
      if (this.#pending === 0) this.#listener.onIdle();
    },
    onEnd: (outcome) => {
      if (this.#call === undefined) return; // we gave it up
      this.#call = undefined;
      this.#pending = 0;
      if (outcome.code === StatusCode.ok) this.#listener.onIdle();
      else this.#listener.onFailure(outcome);
    },
  };
}
