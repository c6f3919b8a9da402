import { rcode, srvAnswer, startFakeResolver } from "@etcd-edge/testkit";
import dnsPacket from "dns-packet";
import { describe, expect, it } from "vitest";
import { DnsClient } from "./dns-client.ts";

const name = "_etcd-client._tcp.example.test";
const record = srvAnswer(name, "n1.example.test", 2379, { ttl: 7 });

describe("DnsClient", () => {
  it("tells records with their TTL", async () => {
    await using resolver = await startFakeResolver(() => ({ answers: [record] }));
    const response = await new DnsClient({ resolvers: [resolver.address] }).query(name, "SRV");
    expect(response.answers).toMatchObject([
      { type: "SRV", ttl: 7, data: { target: "n1.example.test", port: 2379 } },
    ]);
  });

  it("asks again over TCP when the answer is truncated", async () => {
    await using resolver = await startFakeResolver((_, via) =>
      via === "udp" ? { flags: dnsPacket.TRUNCATED_RESPONSE } : { answers: [record] },
    );
    const response = await new DnsClient({ resolvers: [resolver.address] }).query(name, "SRV");
    expect(response.answers).toHaveLength(1);
    expect(resolver.asked).toEqual([`udp SRV ${name}`, `tcp SRV ${name}`]);
  });

  it("ignores garbage and answers to other questions", async () => {
    await using resolver = await startFakeResolver((_, __, query) => ({
      id: (query.id ?? 0) ^ 1,
      answers: [record],
    }));
    const client = new DnsClient({ resolvers: [resolver.address], timeoutMs: 100, rounds: 1 });
    await expect(client.query(name, "SRV")).rejects.toMatchObject({
      code: "unreachable",
      message: `lookup ${name} on ${resolver.address}: i/o timeout`,
    });
    await using noise = await startFakeResolver(() => Buffer.from("garbage"));
    const other = new DnsClient({ resolvers: [noise.address], timeoutMs: 100, rounds: 1 });
    await expect(other.query(name, "SRV")).rejects.toMatchObject({ code: "unreachable" });
  });

  it("goes on to the next resolver and round when one does not answer", async () => {
    let silences = 0;
    await using silent = await startFakeResolver(() => {
      silences += 1;
      return "nothing";
    });
    let questions = 0;
    await using moody = await startFakeResolver(() => {
      questions += 1;
      return questions === 1 ? rcode(2) : { answers: [record] };
    });
    const client = new DnsClient({ resolvers: [silent.address, moody.address], timeoutMs: 1_000 });
    await expect(client.query(name, "SRV")).resolves.toMatchObject({ answers: [{ type: "SRV" }] });
    expect([silences, questions]).toEqual([2, 2]);
  });

  it.each([
    ["NXDOMAIN, at once and for good", 3, "not-found", "no such host", 1],
    ["SERVFAIL, after both rounds", 2, "server-failure", "server misbehaving", 2],
    ["REFUSED, after both rounds", 5, "server-failure", "server misbehaving", 2],
  ])("fails with %s", async (_, code, expected, text, questions) => {
    await using resolver = await startFakeResolver(() => rcode(code));
    await expect(new DnsClient({ resolvers: [resolver.address] }).query(name, "SRV")).rejects.toMatchObject({
      code: expected,
      message: `lookup ${name} on ${resolver.address}: ${text}`,
    });
    expect(resolver.asked).toHaveLength(questions);
  });

  it("fails when nobody listens at the resolver", async () => {
    const resolver = await startFakeResolver(() => "nothing");
    await resolver[Symbol.asyncDispose]();
    const client = new DnsClient({ resolvers: [resolver.address], timeoutMs: 200, rounds: 1 });
    await expect(client.query(name, "SRV")).rejects.toMatchObject({ code: "unreachable" });
  });

  it("stops when its signal says so", async () => {
    await using resolver = await startFakeResolver(() => "nothing");
    const abort = new AbortController();
    const query = new DnsClient({ resolvers: [resolver.address] }).query(name, "SRV", abort.signal);
    abort.abort(new Error("enough"));
    await expect(query).rejects.toThrow("enough");
  });
});
