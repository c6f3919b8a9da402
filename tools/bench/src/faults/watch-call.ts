import { type Agent, request as httpRequest } from "node:http";
import { createInterface } from "node:readline";
import { create, fromBinary, toBinary, WatchRequestSchema, WatchResponseSchema } from "@etcd-edge/proto";
import type { Channel } from "@etcd-edge/transport";

/** What a watch at some door tells. */
interface WatchTold {
  /** It is there, and begins behind this revision. */
  onCreated(revision: bigint): void;
  onEvents(revisions: readonly bigint[]): void;
  /** It is over, and not because we said so. */
  onEnd(): void;
}

/** Opens a watch of the keys below `range`, from a revision on or, with 0, from now on. @returns how to leave it */
export type OpenWatch = (range: string, start: bigint, told: WatchTold) => () => void;

/** Over gRPC; all watches of a door on one connection. @param token of the user whose they are */
export function watchesOver(channel: Channel, token?: string): OpenWatch {
  const metadata = token === undefined ? [] : ["token", token];
  return (range, startRevision, told) => {
    let isOver = false;
    const end = (): void => {
      if (!isOver) told.onEnd();
      isOver = true;
    };
    const [key, rangeEnd] = keysOf(range);
    const value = { key, rangeEnd, startRevision };
    const asked = create(WatchRequestSchema, { requestUnion: { case: "createRequest", value } });
    const onMessage = (payload: Uint8Array): void => {
      const { created, canceled, events, header } = fromBinary(WatchResponseSchema, payload);
      if (canceled) end();
      else if (created) told.onCreated(header?.revision ?? 0n);
      else told.onEvents(events.map(({ kv }) => kv?.modRevision ?? 0n));
    };
    const call = channel.open("/etcdserverpb.Watch/Watch", metadata, {}, { onMessage, onEnd: end });
    call.sendMessage(toBinary(WatchRequestSchema, asked));
    return () => {
      isOver = true;
      call.cancel();
    };
  };
}

interface Told {
  readonly result?: {
    readonly header?: { readonly revision?: string };
    readonly created?: boolean;
    readonly canceled?: boolean;
    readonly events?: readonly { readonly kv?: { readonly mod_revision?: string } }[];
  };
}

/** Over HTTP, as lines of JSON; a connection for each. Dispose of the agent. @param token of the user whose they are */
export function watchesAt(port: number, agent: Agent, token?: string): OpenWatch {
  return (range, start, told) => {
    let isOver = false;
    const end = (): void => {
      if (!isOver) told.onEnd();
      isOver = true;
    };
    const [key, rangeEnd] = keysOf(range).map((bytes) => bytes.toString("base64"));
    const body = JSON.stringify({
      create_request: { key, range_end: rangeEnd, start_revision: String(start) },
    });
    const headers = {
      ...{ "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      ...(token !== undefined && { authorization: token }),
    };
    const call = httpRequest({ host: "127.0.0.1", port, path: "/v3/watch", method: "POST", headers, agent });
    call.on("error", end);
    call.on("close", end);
    call.on("response", (response) => {
      const lines = createInterface({ input: response });
      lines.on("error", end);
      lines.on("line", (line) => {
        const { result } = JSON.parse(line) as Told;
        if (result === undefined || result.canceled === true) call.destroy();
        else if (result.created === true) told.onCreated(BigInt(result.header?.revision ?? 0));
        else told.onEvents((result.events ?? []).map(({ kv }) => BigInt(kv?.mod_revision ?? 0)));
      });
      response.on("error", end);
    });
    call.end(body);
    return () => {
      isOver = true;
      call.destroy();
    };
  };
}

function keysOf(range: string): readonly [Buffer, Buffer] {
  return [Buffer.from(`${range}/`), Buffer.from(`${range}0`)];
}
