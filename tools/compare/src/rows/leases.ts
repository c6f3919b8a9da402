import { bytes, isAtLeast, kv, lease } from "@etcd-edge/conformance";
import { enableAuth } from "@etcd-edge/testkit";
import { outcomeOf } from "../failure-text.ts";
import type { Row } from "../row.ts";
import { asUser } from "../with-users.ts";

/** Leases through the proxy. */
export const leaseRows: readonly Row[] = [
  {
    id: "5b",
    title: "keeping a lease alive once etcd asks who renews it",
    // etcd's own guard is of these versions.
    isIn: (version) => isAtLeast(version, { 3.4: 42, 3.5: 28, 3.6: 9 }),
    check: async (side) => {
      const etcd = await side.startEtcd();
      await enableAuth(etcd, ["ann"]);
      const { connect } = await side.startProxy(etcd.endpoints);
      const client = connect();
      const root = await asUser(client, "root");
      const { ID } = await client.ask(lease.leaseGrant, { TTL: 20n }, root);
      await client.ask(kv.put, { key: bytes("a"), lease: ID }, root);
      using stream = client.stream(lease.leaseKeepAlive, root);
      stream.send({ ID });
      const seen = await outcomeOf(stream.next(), ({ TTL }) =>
        TTL >= 16n ? "renewed" : `not renewed: after some seconds TTL ${TTL}`,
      );
      return { good: seen === "renewed", seen };
    },
  },
  {
    id: "12",
    title: "a keepalive with a half-close right behind it",
    isIn: () => true,
    check: async (side) => {
      const etcd = await side.startEtcd();
      const { connect } = await side.startProxy(etcd.endpoints);
      const client = connect();
      let lost = 0;
      let end = "";
      for (let i = 0; i < 5; i++) {
        const { ID } = await client.ask(lease.leaseGrant, { TTL: 20n });
        using stream = client.stream(lease.leaseKeepAlive);
        stream.send({ ID });
        stream.halfClose();
        const answer = await outcomeOf(stream.next(), () => "answered");
        const { code, message } = await stream.ended;
        if (answer !== "answered" || code !== 0) {
          lost++;
          end = `${code} ${message}`;
        }
      }
      return { good: lost === 0, seen: lost === 0 ? "answered, ended well" : `${lost} of 5 ended by ${end}` };
    },
  },
];
