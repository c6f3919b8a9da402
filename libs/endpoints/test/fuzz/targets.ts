import type { FuzzTarget, Random } from "@etcd-edge/testkit";
import { endpointKey, endpointUrl, parseEndpoints } from "../../src/index.ts";

const pieces = [
  "http://",
  "https://",
  "unix:",
  "unixs://",
  "a",
  "[::1]",
  "[",
  "]",
  ":2379",
  ":0",
  ":99999",
  "@",
  "/",
  "?",
  "#",
  "%",
  ".",
  " ",
  "é",
  "127.0.0.1",
];

function generate(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random.below(7) }, () => random.pick(pieces)).join(""));
}

/** An entry of `--endpoints`: an endpoint that is written and read as the same again, or one error in etcd's words. */
const endpoint: FuzzTarget = {
  generate,
  pieces: pieces.map((one) => Buffer.from(one)),
  run: (input) => {
    const { endpoints, errors } = parseEndpoints([input.toString()]);
    if (endpoints.length + errors.length !== 1)
      throw new Error(`${endpoints.length} endpoints, ${errors.length} errors`);
    const [one] = endpoints;
    if (one === undefined) {
      if (!errors[0]?.startsWith('error parsing endpoint "')) throw new Error(String(errors[0]));
      return "error";
    }
    const [again] = parseEndpoints([endpointUrl(one)]).endpoints;
    // Go lets any text stand in brackets, and so do we: such a name fails when it is looked up.
    const isName = !one.host.includes("/");
    if (isName && (again === undefined || endpointKey(again) !== endpointKey(one))) {
      throw new Error(`${endpointUrl(one)} comes back as ${again && endpointUrl(again)}`);
    }
    return `${one.scheme} ${one.host.includes(":")} ${one.host === ""}`;
  },
};

export const targets: Readonly<Record<string, FuzzTarget>> = { endpoint };
