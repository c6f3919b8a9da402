import type { MessageInitShape, WatchRequestSchema, WatchResponse } from "@etcd-edge/proto";
import type { WatchVia } from "../history/watch-record.ts";

/** Requests of a watch stream, as messages of etcd's. */
export type WatchMessageInit = MessageInitShape<typeof WatchRequestSchema>;

/** Who hears what comes on a wire. `onEnd` or `onError` is the last, and comes once. */
export interface WireListener {
  onMessage(message: WatchResponse): void;
  onError(error: unknown): void;
  onEnd(): void;
}

/** One stream of watches on its way to whatever is judged: a call, a request body, an event stream. */
export interface WatchWire {
  /** What a kind of stream cannot say it leaves unsaid. */
  write(request: WatchMessageInit): void;
  /** Reads nothing until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it at once. */
  cancel(): void;
}

/** Opens streams of one kind. */
export interface WatchOpener {
  readonly limitedUser: string | undefined;
  /** Of `events` each stream is one watch, of a key or of all that begin alike, that cannot be cancelled by itself. */
  readonly via: WatchVia;
  /** @throws where no token can be had */
  openWatch(listener: WireListener): Promise<WatchWire>;
  forgetToken(): void;
  noteFailure(error: unknown): void;
}
