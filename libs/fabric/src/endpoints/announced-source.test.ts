import { endpointUrl } from "@etcd-edge/endpoints";
import { expect, it } from "vitest";
import { createInProcessBus } from "../bus/in-process-bus.ts";
import { createAnnouncedSource, topicOf } from "./announced-source.ts";
import { createAnnouncer } from "./endpoint-announcements.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it("follows what discovery announces of a tier, and keeps the last set when nobody announces any more", async () => {
  await using bus = createInProcessBus();
  const topic = topicOf("main", "grpc-proxy");
  expect([topic, topicOf("main", "members")]).toEqual(["main/grpc-proxy", "main"]);
  const changes: number[] = [];
  await using source = createAnnouncedSource({
    bus,
    prefix: "p",
    topic,
    onChange: (endpoints) => void changes.push(endpoints.length),
  });
  expect(source.current().endpoints).toEqual([]);
  const other = createAnnouncer({ bus, prefix: "p", cluster: "main", publisher: "1" });
  other.update(1, [{ url: "http://10.0.0.9:2379", priority: 0, weight: 0, alive: true }]);
  const announcer = createAnnouncer({ bus, prefix: "p", cluster: topic, publisher: "1" });
  announcer.update(1, [
    { url: "10.0.0.1:23790", priority: 1, weight: 5, name: "a", alive: true },
    { url: "no endpoint", priority: 0, weight: 0, alive: true },
  ]);
  await settle();
  const [first] = source.current().endpoints;
  expect(source.current().endpoints).toHaveLength(1);
  expect(first).toMatchObject({ priority: 1, weight: 5, name: "a" });
  expect(first && endpointUrl(first)).toBe("10.0.0.1:23790");
  announcer.update(2, []);
  await settle();
  expect(source.current().endpoints).toHaveLength(1);
  expect(changes).toEqual([1]);
  announcer[Symbol.dispose]();
  other[Symbol.dispose]();
});
