import { afterEach, describe, expect, it } from "vitest";
import { profileV2 } from "../src/profile/json-profile.ts";
import { type UnaryAnswer, type Upstream, UpstreamError } from "../src/upstream/upstream.ts";
import { RawClient } from "./support/raw-client.ts";
import { startGateway } from "./support/running-gateway.ts";
import { startTestGateway, type TestGateway } from "./support/test-gateway.ts";

const ask = (body: string): string =>
  `POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

let gateway: TestGateway | undefined;

afterEach(async () => {
  await gateway?.[Symbol.asyncDispose]();
  gateway = undefined;
});

/** Calls that the test answers; those whose client leaves fail. */
class HeldUpstream implements Upstream {
  readonly gone = Promise.withResolvers<void>();
  readonly asked = Promise.withResolvers<(answer: UnaryAnswer) => void>();

  unary({ presence }: Parameters<Upstream["unary"]>[0]): Promise<UnaryAnswer> {
    return new Promise((resolve, reject) => {
      presence.onGone(() => {
        this.gone.resolve();
        reject(new UpstreamError({ status: 1, message: "context canceled", origin: "local" }));
      });
      this.asked.resolve(resolve);
    });
  }

  open(): never {
    throw new Error("no streams here");
  }
}

const answer: UnaryAnswer = { message: new Uint8Array(), headers: ["content-type", "application/grpc"] };

describe("a connection in the fast lane", () => {
  it("takes its call along when its client goes", async () => {
    const upstream = new HeldUpstream();
    gateway = await startTestGateway({ upstream, profile: profileV2 });
    {
      using client = await RawClient.open(gateway.url);
      await client.send(ask("{}"));
      await upstream.asked.promise;
    }
    await upstream.gone.promise;
    await expect.poll(() => gateway?.connections()).toBe(0);
    expect(gateway.reported).toEqual([]);
  });

  it("is closed by a gentle close: at once where it is idle, else behind its answer", async () => {
    const upstream = new HeldUpstream();
    gateway = await startTestGateway({ upstream, profile: profileV2 });
    using idle = await RawClient.open(gateway.url);
    await idle.send(ask("!"));
    await idle.until((received) => received.endsWith("}"));
    using busy = await RawClient.open(gateway.url);
    await busy.send(ask("{}"));
    const finish = await upstream.asked.promise;
    const closed = gateway.closeGently();
    expect(await idle.untilClosed()).toMatch(/^HTTP\/1.1 400 /);
    finish(answer);
    expect(await busy.untilClosed()).toMatch(/^HTTP\/1.1 200 OK\r\n.*\{\}$/s);
    await closed;
  });

  it.each([
    [[], 1, 0],
    [["--fast-lane=false"], 0, 0],
  ])("is there unless switched off: %j", async (flags, answered, handedOver) => {
    await using running = await startGateway(["127.0.0.1:1"], ["--json-profile=v2", ...flags]);
    using client = await RawClient.open(running.url);
    await client.send(ask("!"));
    await client.until((received) => received.endsWith("}"));
    const metrics = await (await fetch(`${running.url}/metrics`)).text();
    const count = (name: string): number =>
      Number(new RegExp(`^etcd_edge_http_fast_lane_${name}_total (\\d+)$`, "m").exec(metrics)?.[1]);
    expect(count("requests")).toBe(answered);
    // The connection that asks for the metrics is handed over itself.
    expect(count("handovers") - (answered === 0 ? 0 : 1)).toBe(handedOver);
    expect(metrics).toContain('etcd_edge_http_requests_total{route="/v3/kv/range",status="400"} 1');
  });
});
