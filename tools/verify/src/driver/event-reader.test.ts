import type { WatchResponse } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { EventReader } from "./event-reader.ts";

/** Reads lines and says in short what came of them: what kind of message, and the revision in its header. */
function read(text: string, startRevision = 0n): readonly string[] {
  const told: string[] = [];
  const onMessage = ({ header, created, canceled, events, compactRevision }: WatchResponse): void => {
    const kind = canceled
      ? `canceled ${compactRevision}`
      : events.length > 0
        ? `${events.length} events`
        : "progress";
    told.push(
      `${created ? "created " : ""}${kind === "progress" && created ? "" : `${kind} `}${header?.revision ?? 0n}`,
    );
  };
  const reader = new EventReader({ onMessage }, startRevision);
  for (const line of text.split("\n")) reader.take(line);
  return told;
}

const bookmark = (id: number): string => `id: ${id}\nevent: bookmark\ndata: {"position":"${id}"}\n\n`;
const change = (id: number, revision = id): string =>
  `id: ${id}\ndata: {"header":{"revision":"${revision}"},"events":[{"kv":{"key":"YQ==","mod_revision":"${revision}"}}]}\n\n`;

describe("a stream of events in the words of gRPC", () => {
  it("begins with a bookmark, which is created; later ones are progress", () => {
    expect(read(bookmark(5) + change(6) + bookmark(9))).toEqual(["created 5", "1 events 6", "progress 9"]);
  });

  it("says nothing of the store where it was asked for by revision", () => {
    expect(read(bookmark(41) + change(42), 42n)).toEqual(["created 0", "1 events 42"]);
  });

  it("an id that says more than its events is progress, and held to that", () => {
    expect(read(bookmark(5) + change(8, 6))).toEqual(["created 5", "1 events 6", "progress 8"]);
  });

  it("has comments and times to come again, which are nothing", () => {
    expect(read(`${bookmark(5)}:\n\nretry: 1500\n\n`)).toEqual(["created 5"]);
  });

  it("ends a watch that was never there, and one that was", () => {
    const canceled = (created: string): string =>
      `id: 7\nevent: canceled\ndata: {${created}"header":{"revision":"9"},"canceled":true,"compact_revision":"8"}\n\n`;
    expect(read(canceled('"created":true,'))).toEqual(["created canceled 8 9"]);
    expect(read(bookmark(5) + canceled('"created":true,'))).toEqual(["created 5", "canceled 8 9"]);
    expect(read(bookmark(5) + canceled(""))).toEqual(["created 5", "canceled 8 9"]);
  });
});
