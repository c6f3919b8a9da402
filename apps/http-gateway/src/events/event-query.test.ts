import { describe, expect, it } from "vitest";
import { readEventQuery } from "./event-query.ts";

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");
const ranges = (search: string): string[] =>
  readEventQuery(search, undefined).watches.map(({ key, rangeEnd }) => `${hex(key)}-${hex(rangeEnd)}`);
const starts = (search: string, id?: string): unknown[] =>
  readEventQuery(search, id).watches.map(({ startRevision }) => startRevision);

describe("readEventQuery", () => {
  it.each([
    ["?key=a", ["61-"]],
    ["?key=a%20b+c", ["6120622063-"]],
    ["?key=%ff%00", ["ff00-"]],
    ["?key=%C3%A9&key=é", ["c3a9-", "c3a9-"]],
    ["?prefix=a/&key=b", ["612f-6130", "62-"]],
    ["?prefix=a%ff%ff", ["61ffff-62"]],
    ["?prefix=%ff", ["ff-00"]],
    ["?prefix=", ["00-00"]],
    ["?prefix", ["00-00"]],
  ])("reads the ranges of %s", (search, expected) => {
    expect(ranges(search)).toEqual(expected);
  });

  it("goes on behind what was seen, in each range or in all", () => {
    expect(starts("?key=a&key=b")).toEqual([0n, 0n]);
    expect(starts("?key=a&key=b&start_revision=5")).toEqual([5n, 5n]);
    expect(starts("?key=a&key=b&start_revision=5", "7,9")).toEqual([8n, 10n]);
    expect(starts("?key=a&key=b", "7")).toEqual([8n, 8n]);
    expect(starts("?key=a&last_event_id=7")).toEqual([8n]);
    expect(starts("?key=a&last_event_id=7", "9")).toEqual([10n]);
    expect(starts("?key=a", "")).toEqual([0n]);
  });

  it.each([
    ["", "key or prefix is missing"],
    ["?key=", "key is empty"],
    ["?keys=a", 'unknown parameter "keys"'],
    ["?key=a&start_revision=-1", 'start_revision is no revision: "-1"'],
    ["?key=a&last_event_id=x", 'Last-Event-ID is no revision: "x"'],
    ["?key=a&last_event_id=1,2", "Last-Event-ID has 2 revisions for 1 ranges"],
    ["?key=a&prev_kv=1", "prev_kv must be true or false"],
    ["?key=a&filters=ALL", "filters must be NOPUT or NODELETE"],
    [`?${"key=a&".repeat(101)}`, "key and prefix are given more than 100 times in all"],
  ])("refuses %s by name", (search, message) => {
    expect(() => readEventQuery(search, undefined)).toThrow(message);
  });
});
