import { bytes, type EtcdClient, kv, type MessageStream, watch } from "@etcd-edge/conformance";
import type { MessageInitShape, WatchRequestSchema, WatchResponse } from "@etcd-edge/proto";
import { enableAuth } from "@etcd-edge/testkit";
import { outcomeOf } from "../failure-text.ts";
import type { Row } from "../row.ts";
import { asUser } from "../with-users.ts";

const always = (): boolean => true;
const key = bytes("k");
/** Of 16 KiB each: more than the queue of etcd's proxy for one client, which holds 1,024 responses. */
const slowPuts = 3_000;

type WatchStream = MessageStream<MessageInitShape<typeof WatchRequestSchema>, WatchResponse>;

function create(stream: WatchStream, value: { key: Uint8Array; startRevision?: bigint }): void {
  stream.send({ requestUnion: { case: "createRequest", value } });
}

/** Reads events until one has the value; returns how many came before it. */
async function countUntil(stream: WatchStream, value: string): Promise<number> {
  let seen = 0;
  for (;;) {
    for (const { kv: changed } of (await stream.next()).events) {
      if (Buffer.from(changed?.value ?? []).toString() === value) return seen;
      seen++;
    }
  }
}

async function putMany(client: EtcdClient, count: number): Promise<bigint> {
  const first = await client.ask(kv.put, { key, value: bytes("0") });
  for (let i = 1; i < count; i += 100) {
    const batch = Array.from({ length: Math.min(100, count - i) }, (_, j) => bytes(`${i + j}`));
    await Promise.all(batch.map((value) => client.ask(kv.put, { key, value })));
  }
  return first.header?.revision ?? 0n;
}

/** Reads so many events, or until nothing more comes. @returns how many there were */
async function countEvents(stream: WatchStream, wanted: number): Promise<number> {
  let seen = 0;
  try {
    while (seen < wanted) seen += (await stream.next()).events.length;
  } catch {
    // The stream fell silent or ended: what was seen by then is the finding.
  }
  return seen;
}

/** Counts events until one has the value, or nothing more comes: `3001 of 3001 events`. */
function describeCount(stream: WatchStream, last: string, expected: number): Promise<string> {
  return outcomeOf(countUntil(stream, last), (before) => `${before + 1} of ${expected} events`);
}

/** Watches that fall silent, or lose events. */
export const watchRows: readonly Row[] = [
  {
    id: "2",
    title: "a watch 3,000 revisions behind a live one of the same key",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      const { connect } = await side.startProxy(etcd.endpoints);
      const client = connect();
      const first = await putMany(client, 3_000);
      using live = client.stream(watch.watch);
      create(live, { key });
      await live.next();
      using behind = client.stream(watch.watch);
      create(behind, { key, startRevision: first });
      await behind.next();
      // Nothing is written meanwhile: that is when etcd's proxy takes it for one that is up to date.
      const count = await countEvents(behind, 3_000);
      return { good: count === 3_000, seen: `${count} of 3000 events` };
    },
  },
  {
    id: "3",
    title: "live watches beside one on a compacted revision that keeps its stream",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      const { connect } = await side.startProxy(etcd.endpoints);
      const client = connect();
      const first = await putMany(client, 20);
      await client.ask(kv.compact, { revision: first + 10n, physical: true });
      using dead = client.stream(watch.watch);
      create(dead, { key, startRevision: first });
      while (!(await dead.next()).canceled); // it stays, as clients do
      using live = client.stream(watch.watch);
      create(live, { key });
      await live.next();
      for (const value of ["a", "b", "end"]) await client.ask(kv.put, { key, value: bytes(value) });
      const seen = await outcomeOf(countUntil(live, "end"), (count) => `${count + 1} of 3 events`);
      return { good: seen === "3 of 3 events", seen };
    },
  },
  {
    id: "4",
    title: "the second user who watches, with auth on",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      await enableAuth(etcd, ["ann"]);
      for (const args of [
        ["role", "add", "a"],
        ["role", "grant-permission", "a", "read", "a"],
        ["user", "grant-role", "ann", "a"],
      ]) {
        await etcd.etcdctl([...args, "--user=root:pw"]);
      }
      const { connect } = await side.startProxy(etcd.endpoints);
      const client = connect();
      const ann = await asUser(client, "ann");
      const root = await asUser(client, "root");
      using first = client.stream(watch.watch, ann);
      create(first, { key: bytes("a") });
      await first.next();
      using second = client.stream(watch.watch, root);
      create(second, { key });
      const seen = await outcomeOf(second.next(), ({ created, canceled }) =>
        created && !canceled ? "created" : "refused",
      );
      return { good: seen === "created", seen };
    },
  },
  {
    id: "9",
    title: "a watch that is not read for some seconds, and one beside it that is",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      const { connect } = await side.startProxy(etcd.endpoints);
      // Apart, so that only the proxy can let one pay for the other.
      const [writer, quick, slow] = [connect(), connect(), connect()];
      using read = quick.stream(watch.watch);
      using unread = slow.stream(watch.watch);
      for (const stream of [read, unread]) {
        create(stream, { key });
        await stream.next();
      }
      unread.pause();
      // More than sockets and windows hold, so that the proxy has to keep it or let the client go.
      const value = new Uint8Array(16 * 1024);
      for (let i = 0; i < slowPuts; i += 20) {
        await Promise.all(Array.from({ length: 20 }, () => writer.ask(kv.put, { key, value })));
      }
      await writer.ask(kv.put, { key, value: bytes("end") });
      const quickSaw = await describeCount(read, "end", slowPuts + 1);
      unread.resume();
      const slowSaw = await describeCount(unread, "end", slowPuts + 1);
      const all = `${slowPuts + 1} of ${slowPuts + 1} events`;
      return { good: quickSaw === all && slowSaw === all, seen: `${quickSaw}; the slow one: ${slowSaw}` };
    },
  },
  {
    id: "13",
    title: "a watch whose client half-closes",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      const { connect } = await side.startProxy(etcd.endpoints);
      const client = connect();
      using stream = client.stream(watch.watch);
      create(stream, { key });
      await stream.next();
      stream.halfClose();
      await client.ask(kv.put, { key, value: bytes("after") });
      const seen = await outcomeOf(stream.next(), ({ events }) => `${events.length} event`);
      return { good: seen === "1 event", seen };
    },
  },
];
