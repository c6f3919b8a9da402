import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { endpointUrl } from "../endpoint.ts";
import { createDiscoverySource, parseAnswer } from "./discovery-source.ts";

async function startApi(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  return {
    url: `http://127.0.0.1:${bound !== null && typeof bound === "object" ? bound.port : 0}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

describe("createDiscoverySource", () => {
  it("takes the set from the first replica that answers, then waits for changes with the ETag", async () => {
    const asked: string[] = [];
    let waiting: ServerResponse | undefined;
    await using broken = await startApi((_, response) => response.writeHead(500).end());
    await using api = await startApi((request, response) => {
      asked.push(`${request.url} ${request.headers["if-none-match"] ?? "-"}`);
      if (asked.length === 1) {
        const one = { url: "https://a:1", priority: 3, weight: 4, name: "m1", alive: true, more: 1 };
        response.writeHead(200, { etag: '"x"' }).end(JSON.stringify({ endpoints: [one] }));
      } else if (asked.length === 2) response.writeHead(304).end();
      else waiting = response;
    });
    await using source = createDiscoverySource({ urls: [broken.url, api.url], waitMs: 10_000 });
    await source.firstOutcome;
    expect(source.current().endpoints).toEqual([
      { scheme: "https", host: "a", port: 1, priority: 3, weight: 4, name: "m1" },
    ]);
    const changed = new Promise((resolve) => source.subscribe(resolve));
    while (waiting === undefined) await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual([
      "/v1/endpoints -",
      '/v1/endpoints?wait=10000ms "x"',
      '/v1/endpoints?wait=10000ms "x"',
    ]);
    waiting.writeHead(200, { etag: '"y"' }).end(JSON.stringify({ endpoints: [{ url: "b:1" }] }));
    await changed;
    expect(source.current().endpoints.map(endpointUrl)).toEqual(["b:1"]);
  });

  it("says what failed when nobody answers", async () => {
    await using broken = await startApi((_, response) => response.end("<html>"));
    await using source = createDiscoverySource({ urls: [broken.url] });
    await expect(source.firstOutcome).resolves.toMatchObject({
      t: "failed",
      error: { errors: [{ message: `${broken.url} answered something else than an endpoint set` }] },
    });
  });
});

describe("parseAnswer", () => {
  it.each(["", "null", "[]", "{}", '{"endpoints":{}}', '{"endpoints":[1]}', '{"endpoints":[{"url":"x"}]}'])(
    "does not take %j",
    (body) => {
      expect(parseAnswer(body)).toBeUndefined();
    },
  );

  it("never throws", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => void parseAnswer(JSON.stringify({ endpoints: [value] }))),
    );
  });
});
