import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { get } from "node:http";
import { text } from "node:stream/consumers";
import { bytes, cluster, isAtLeast, kv, watch } from "@etcd-edge/conformance";
import { enableAuth, findFreePorts } from "@etcd-edge/testkit";
import { outcomeOf } from "../failure-text.ts";
import type { Row } from "../row.ts";
import { asUser } from "../with-users.ts";

const always = (): boolean => true;

/** Flags, health, and the registry of proxies. */
export const startingRows: readonly Row[] = [
  {
    id: "5a",
    title: "/health with auth on",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      await enableAuth(etcd, ["ann"]);
      const { address } = await side.startProxy(etcd.endpoints);
      const [response] = (await once(get(`http://${address}/health`), "response")) as [IncomingMessage];
      const body = (await text(response)).trim();
      return { good: response.statusCode === 200, seen: `${response.statusCode} ${body}` };
    },
  },
  {
    id: "10",
    title: "one value under the resolver prefix that is no JSON",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      const flags = ["--resolver-prefix=edge", "--resolver-ttl=5"];
      const { connect } = await side.startProxy(etcd.endpoints, flags);
      const client = connect();
      const members = (): Promise<string> =>
        outcomeOf(client.ask(cluster.memberList, {}), (answer) => `${answer.members.length} members`);
      const good = '{"Op":0,"Addr":"good:1","Metadata":"{\\"name\\":\\"g\\"}"}';
      await client.ask(kv.put, {
        key: bytes("edge/bad"),
        value: bytes('{"Op":0,"Addr":"bad:1","Metadata":"<x>"}'),
      });
      await client.ask(kv.put, { key: bytes("edge/good"), value: bytes(good) });
      // The registry is followed by a watch: what it says settles once the proxy itself and the others are known.
      const giveUp = performance.now() + 6_000;
      let seen = await members();
      while (/^[01] members/.test(seen) && performance.now() < giveUp) seen = await members();
      return { good: seen === "2 members", seen };
    },
  },
  {
    id: "15",
    title: "an --advertise-client-url that nobody answers",
    isIn: (version) => /^3\.[56]\./.test(version),
    check: async (side) => {
      const etcd = await side.startEtcd();
      const [nobody = 0] = await findFreePorts(1);
      const { program, isServing } = await side.startProxy(etcd.endpoints, [
        `--advertise-client-url=127.0.0.1:${nobody}`,
      ]);
      if (!isServing) return { good: false, seen: `ended by itself, exit code ${await program.exited}` };
      // It dies five seconds after it said that it serves.
      const ended = await Promise.race([
        program.exited,
        new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 7_000)),
      ]);
      return ended === undefined
        ? { good: true, seen: "serves" }
        : { good: false, seen: `ended by itself, exit code ${ended}` };
    },
  },
  {
    id: "16",
    title: "--listen-cipher-suites without TLS",
    isIn: (version) => isAtLeast(version, { 3.4: 22 }) && version.startsWith("3.4."),
    check: async (side) => {
      const etcd = await side.startEtcd();
      const suites = "--listen-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
      const { program, isServing } = await side.startProxy(etcd.endpoints, [suites]);
      const panic = /SIGSEGV|panic: .*/.exec(program.output())?.[0];
      return { good: isServing, seen: isServing ? "serves, with a warning" : (panic ?? "ended") };
    },
  },
  {
    id: "18",
    title: "a watch through a proxy with --resolver-prefix, after auth was switched on",
    isIn: always,
    check: async (side) => {
      const etcd = await side.startEtcd();
      const flags = ["--resolver-prefix=edge", "--resolver-ttl=5"];
      const { connect } = await side.startProxy(etcd.endpoints, flags);
      const client = connect();
      // Registered, so its own watch of the prefix stands, or is about to.
      const registered = { key: bytes("edge/"), rangeEnd: bytes("edge0") };
      const giveUp = performance.now() + 6_000;
      while ((await client.ask(kv.range, registered)).count === 0n && performance.now() < giveUp);
      await enableAuth(etcd, ["ann"]);
      const root = await asUser(client, "root");
      using stream = client.stream(watch.watch, root);
      stream.send({ requestUnion: { case: "createRequest", value: { key: bytes("a") } } });
      const seen = await outcomeOf(stream.next(), ({ created, canceled, cancelReason }) =>
        created && !canceled ? "created" : `refused: ${cancelReason}`,
      );
      return { good: seen === "created", seen };
    },
  },
];
