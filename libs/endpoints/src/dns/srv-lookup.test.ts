import { type Reply, rcode, srvAnswer, startFakeResolver } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { endpointUrl } from "../endpoint.ts";
import { DnsClient } from "./dns-client.ts";
import { lookupSrv, srvRecordName } from "./srv-lookup.ts";

const domain = "example.test";
const tlsName = "_etcd-client-ssl._tcp.example.test";
const plainName = "_etcd-client._tcp.example.test";

async function lookupIn(zone: Record<string, Reply>, serviceName = "") {
  await using resolver = await startFakeResolver(
    (question) => zone[question.replace("SRV ", "")] ?? rcode(3),
  );
  const client = new DnsClient({ resolvers: [resolver.address], timeoutMs: 5_000, rounds: 1 });
  return await lookupSrv(client, "etcd-client", { domain, serviceName });
}

describe("srvRecordName", () => {
  it.each([
    [true, "", "_etcd-client-ssl._tcp.example.test"],
    [false, "", "_etcd-client._tcp.example.test"],
    [true, "foo", "_etcd-client-ssl-foo._tcp.example.test"],
    [false, "bar", "_etcd-client-bar._tcp.example.test"],
  ])("TLS %s, suffix %j", (isTls, serviceName, expected) => {
    expect(srvRecordName("etcd-client", { isTls, serviceName, domain })).toBe(expected);
  });
});

describe("lookupSrv", () => {
  it("lists TLS records first and keeps the target's trailing dot", async () => {
    const { endpoints, ttlSeconds, isComplete } = await lookupIn({
      [plainName]: { answers: [srvAnswer(plainName, "n2.example.test", 40011, { ttl: 20 })] },
      [tlsName]: {
        answers: [srvAnswer(tlsName, "n1.example.test", 40021, { ttl: 9, priority: 3, weight: 4 })],
      },
    });
    expect(endpoints.map(endpointUrl)).toEqual([
      "https://n1.example.test.:40021",
      "http://n2.example.test.:40011",
    ]);
    expect(endpoints[0]).toMatchObject({ priority: 3, weight: 4 });
    expect({ ttlSeconds, isComplete }).toEqual({ ttlSeconds: 9, isComplete: true });
  });

  it("is content with one of the two names", async () => {
    const name = "_etcd-client-foo._tcp.example.test";
    const { endpoints, isComplete } = await lookupIn(
      { [name]: { answers: [srvAnswer(name, "n9.example.test", 1)] } },
      "foo",
    );
    expect(endpoints.map(endpointUrl)).toEqual(["http://n9.example.test.:1"]);
    expect(isComplete).toBe(true);
  });

  it("says when one of the two could not be asked", async () => {
    const { isComplete } = await lookupIn({
      [plainName]: { answers: [srvAnswer(plainName, "n1.example.test", 1)] },
      [tlsName]: rcode(2),
    });
    expect(isComplete).toBe(false);
  });

  it("believes an absence as long as the SOA says", async () => {
    const soa = { mname: "ns.example.test", rname: "x.example.test", minimum: 5 };
    const { ttlSeconds } = await lookupIn({
      [plainName]: { answers: [srvAnswer(plainName, "n1.example.test", 1, { ttl: 300 })] },
      [tlsName]: { flags: 3, authorities: [{ type: "SOA", name: domain, ttl: 60, data: soa }] },
    });
    expect(ttlSeconds).toBe(5);
  });

  it("leaves out a target of dot, which says that the service is not offered", async () => {
    await expect(lookupIn({ [plainName]: { answers: [srvAnswer(plainName, ".", 1)] } })).rejects.toThrow(
      "no such host",
    );
  });

  it("fails with both errors when neither name exists, and says that this is final", async () => {
    await expect(lookupIn({})).rejects.toMatchObject({
      isFinal: true,
      message: expect.stringMatching(
        /^dns lookup errors: lookup _etcd-client-ssl\._tcp\.example\.test on 127\.0\.0\.1:\d+: no such host and lookup _etcd-client\._tcp\.example\.test on 127\.0\.0\.1:\d+: no such host$/,
      ),
    });
    await expect(lookupIn({ [tlsName]: rcode(2) })).rejects.toMatchObject({ isFinal: false });
  });
});
