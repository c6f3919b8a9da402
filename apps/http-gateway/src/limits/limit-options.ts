import { durationOption, intOption, type OptionSpec, stringsOption, uintOption } from "@etcd-edge/runtime";
import { defaultJsonLimits } from "../json/json-scanner.ts";

/** The check of a number that must be above 0. */
export function positive(flag: string): (value: number) => string | undefined {
  return (value) => (value > 0 ? undefined : `invalid argument for "--${flag}" flag: must be greater than 0`);
}

/** Rows about how much clients may ask for, and how long they may take over it. */
export const limitOptions: {
  readonly maxJsonDepth: OptionSpec<"int">;
  readonly maxJsonValues: OptionSpec<"int">;
  readonly requestBodyTimeout: OptionSpec<"duration">;
  readonly requestHeaderTimeout: OptionSpec<"duration">;
  readonly writeTimeout: OptionSpec<"duration">;
  readonly rateLimit: OptionSpec<"uint">;
  readonly rateLimitBurst: OptionSpec<"uint">;
  readonly maxStreamsPerClient: OptionSpec<"uint">;
  readonly maxConnections: OptionSpec<"uint">;
  readonly trustedProxies: OptionSpec<"strings">;
} = {
  maxJsonDepth: intOption({
    flag: "max-json-depth",
    default: defaultJsonLimits.maxDepth,
    doc: "deepest nesting of objects and lists in a request",
    since: "edge",
    check: positive("max-json-depth"),
  }),
  maxJsonValues: intOption({
    flag: "max-json-values",
    default: defaultJsonLimits.maxValues,
    doc: "most values in one request, of objects, lists and by themselves",
    since: "edge",
    check: positive("max-json-values"),
  }),
  requestBodyTimeout: durationOption({
    flag: "request-body-timeout",
    default: 60_000,
    doc: "longest time that the first JSON value of a request body may take to come",
    since: "edge",
    check: positive("request-body-timeout"),
  }),
  requestHeaderTimeout: durationOption({
    flag: "request-header-timeout",
    default: 60_000,
    doc: "longest time that the headers of a request may take to come",
    since: "edge",
    check: positive("request-header-timeout"),
  }),
  writeTimeout: durationOption({
    flag: "write-timeout",
    default: 60_000,
    doc: "a client that takes nothing of its answer for this long is cut; for streams see --watch-stall-timeout",
    since: "edge",
    check: positive("write-timeout"),
  }),
  rateLimit: uintOption({
    flag: "rate-limit",
    default: 0,
    doc: "requests a second that one client address may send (0 for any number)",
    since: "edge",
  }),
  rateLimitBurst: uintOption({
    flag: "rate-limit-burst",
    default: 0,
    doc: "requests that one client address may send beyond --rate-limit at once, now and then",
    since: "edge",
  }),
  maxStreamsPerClient: uintOption({
    flag: "max-streams-per-client",
    default: 0,
    doc: "watches and other streams that one client address may have open, WebSockets included (0 for any number)",
    since: "edge",
  }),
  maxConnections: uintOption({
    flag: "max-connections",
    default: 0,
    doc: "connections of clients; more are closed at once (0 for any number)",
    since: "edge",
  }),
  trustedProxies: stringsOption({
    flag: "trusted-proxies",
    default: [],
    doc: "comma separated addresses or networks of reverse proxies that are believed in X-Forwarded-For",
    since: "edge",
  }),
};
