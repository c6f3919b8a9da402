import type { FuzzTarget, Random } from "@etcd-edge/testkit";
import { decodeAnnouncement, encodeAnnouncement } from "../../src/endpoints/announcement.ts";

const values = ["1", "0", "-1", "65536", "1e99", "null", "true", '"x"', '""', "[]", "{}", "9007199254740993"];
const endpointKeys = ["url", "priority", "weight", "name", "alive", "more"];
const keys = ["v", "cluster", "publisher", "version", "ttlMs", "endpoints", "__proto__"];

const good = `{"v":1,"cluster":"c","publisher":"p","version":1,"ttlMs":5000,"endpoints":[{"url":"http://a:1","priority":0,"weight":1,"alive":true}]}`;

function generate(random: Random): Buffer {
  if (random.chance(25)) return Buffer.from(good);
  const members = (names: readonly string[]): string =>
    names
      .filter(() => random.chance(85))
      .map((name) => `"${name}":${random.pick(values)}`)
      .join(",");
  const list = `[${Array.from({ length: random.below(3) }, () => `{${members(endpointKeys)}}`).join(",")}]`;
  return Buffer.from(`{${members(keys)},"endpoints":${random.chance(80) ? list : random.pick(values)}}`);
}

/** What anybody may publish on NATS: an announcement that is written and read as the same again, or nothing. */
const announcement: FuzzTarget = {
  generate,
  pieces: [...values, ...keys.map((key) => `"${key}":`), good.slice(60)].map((one) => Buffer.from(one)),
  run: (input) => {
    const read = decodeAnnouncement(input);
    if (read === undefined) return "nothing";
    const again = decodeAnnouncement(encodeAnnouncement(read));
    if (JSON.stringify(again) !== JSON.stringify(read)) throw new Error("not read back");
    return `${read.endpoints.length} ${read.endpoints.some((one) => one.name !== undefined)} ${read.ttlMs > 1000}`;
  },
};

export const targets: Readonly<Record<string, FuzzTarget>> = { announcement };
