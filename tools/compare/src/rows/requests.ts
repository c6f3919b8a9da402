import { bytes, kv } from "@etcd-edge/conformance";
import { enableAuth } from "@etcd-edge/testkit";
import { failureText, outcomeOf } from "../failure-text.ts";
import type { Row } from "../row.ts";
import { asUser } from "../with-users.ts";

const always = (): boolean => true;

/** Single requests that end the proxy, or are answered with what nobody should see. */
export const requestRows: readonly Row[] = [
  {
    id: "1",
    title: "a Txn with an operation that is none",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      const { program, connect } = await side.startProxy(etcd.endpoints);
      const client = connect();
      const answer = await outcomeOf(client.ask(kv.txn, { success: [{}] }), () => "answered");
      // Whether it lives shows in the next call.
      const next = await client.ask(kv.range, { key: bytes("a") }).then(
        () => undefined,
        (error: unknown) => failureText(error),
      );
      const ended = /panic: .*/.exec(program.output())?.[0];
      const good = next === undefined && answer === "3 etcdserver: key not found";
      return { good, seen: next === undefined ? answer : `the proxy died: ${ended ?? next}` };
    },
  },
  {
    id: "6",
    title: "a serializable read of what a privileged user has read before, without a token",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      await enableAuth(etcd, ["ann"]);
      const { connect } = await side.startProxy(etcd.endpoints);
      const client = connect();
      const root = await asUser(client, "root");
      const key = bytes("secret");
      await client.ask(kv.put, { key, value: bytes("hush") }, root);
      await client.ask(kv.range, { key, serializable: true }, root);
      const seen = await outcomeOf(client.ask(kv.range, { key, serializable: true }), ({ kvs }) => {
        return `disclosed: ${Buffer.from(kvs[0]?.value ?? "")}`;
      });
      return { good: seen === "3 etcdserver: user name is empty", seen };
    },
  },
  {
    id: "7",
    title: "a full serializable read after a put through the same proxy",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      const { connect } = await side.startProxy(etcd.endpoints);
      const client = connect();
      const all = { key: bytes("\0"), rangeEnd: bytes("\0"), serializable: true };
      const read = async (): Promise<string> => {
        const { kvs } = await client.ask(kv.range, all);
        return kvs.map((one) => Buffer.from(one.value).toString()).join(",");
      };
      await client.ask(kv.put, { key: bytes("a"), value: bytes("old") });
      await read();
      await client.ask(kv.put, { key: bytes("a"), value: bytes("new") });
      const value = await read();
      return {
        good: value === "new",
        seen: value === "new" ? "the new value" : `the ${value} value, for ever`,
      };
    },
  },
  {
    id: "14",
    title: "a read that requires a leader, at a member without one",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd({ members: 3 });
      const [left, ...others] = etcd.members;
      const { connect } = await side.startProxy([left?.clientAddress ?? ""]);
      const client = connect();
      const read = { key: bytes("a"), serializable: true };
      await client.ask(kv.range, read);
      for (const member of others) await member.kill();
      const required = { metadata: { hasleader: "true" } };
      // The member notices within its election time.
      const giveUp = performance.now() + 8_000;
      let seen = "";
      do {
        seen = await outcomeOf(client.ask(kv.range, read, required), () => "answered as if there were one");
      } while (!seen.includes("no leader") && performance.now() < giveUp);
      return { good: seen === "14 etcdserver: no leader", seen };
    },
  },
];
