import type { ChangeEvent, KeySpan } from "./stored.ts";

/** Calls of the Watch service, lines of JSON, Server-Sent Events, WebSockets. */
export type WatchVia = "grpc" | "lines" | "events" | "sockets";

/** What a client asked of a watch. */
export interface WatchRequest {
  readonly span: KeySpan;
  /** 0 for "from now on". */
  readonly startRevision: bigint;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
}

/** What came, as it came; `at` in milliseconds since the run began. */
export type WatchMessage =
  | { readonly t: "created"; readonly at: number; readonly revision: bigint; readonly clusterId: bigint }
  | {
      readonly t: "events";
      readonly at: number;
      /** Of the header. */
      readonly revision: bigint;
      /** More of the same revision is to come. */
      readonly isFragment: boolean;
      readonly events: readonly ChangeEvent[];
    }
  | {
      readonly t: "progress";
      readonly at: number;
      readonly revision: bigint;
      /** It speaks for every watch of the stream (watch id −1), and not for this one by name. */
      readonly isForStream: boolean;
    }
  | {
      readonly t: "canceled";
      readonly at: number;
      readonly revision: bigint;
      readonly compactRevision: bigint;
      readonly reason: string;
    }
  /** The stream ended under it. */
  | { readonly t: "lost"; readonly at: number; readonly reason: string };

/** One watch on one stream. A client that goes on after a loss opens another, which says whose successor it is. */
export interface WatchRecord {
  readonly id: number;
  readonly client: number;
  /** One who may read some keys only; nothing for one who may do everything. */
  readonly user?: string;
  /** Over what it was watched; calls where nothing is said. */
  readonly via?: WatchVia;
  /** Watches with equal numbers shared a stream. */
  readonly stream: number;
  readonly request: WatchRequest;
  readonly askedAt: number;
  readonly messages: readonly WatchMessage[];
  /** The watch that this one goes on from. */
  readonly resumes?: number;
  /** When the client asked to cancel it. */
  readonly cancelAskedAt?: number;
  /** It was there to the end of the run, and must have got everything. */
  readonly isOpenAtEnd: boolean;
}

/** The events of a watch in the order they came. */
export function eventsOf(watch: WatchRecord): readonly ChangeEvent[] {
  return watch.messages.flatMap((message) => (message.t === "events" ? message.events : []));
}

/** Whether a watch of this kind is told such a change. */
export function isWanted(request: WatchRequest, kind: ChangeEvent["kind"]): boolean {
  return kind === "put" ? !request.noPut : !request.noDelete;
}
