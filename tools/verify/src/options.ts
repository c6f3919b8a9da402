import {
  boolOption,
  durationOption,
  intOption,
  type OptionValues,
  stringOption,
  stringsOption,
  uint32Option,
} from "@etcd-edge/runtime";
import { faults, isFault } from "./faults/faults.ts";
import { doors, isDoor } from "./stack/door.ts";
import { promises } from "./validators/violation.ts";

const positive = (flag: string) => (value: number) =>
  value > 0 ? undefined : `--${flag} must be greater than 0, not ${value}`;

/** The flags of `etcd-edge verify`. */
export const verifyOptions = {
  endpoints: stringsOption({
    flag: "endpoints",
    default: [],
    doc: "what is judged: any etcd, proxy or gateway; clients go to one of them and to the next where it fails",
    since: "edge",
  }),
  httpEndpoints: stringsOption({
    flag: "http-endpoints",
    default: [],
    doc: "with --endpoints: http-gateways before the same etcd; of four clients three watch there, and one in three reads and writes",
    since: "edge",
  }),
  reference: stringsOption({
    flag: "reference",
    default: [],
    doc: "etcd itself behind these endpoints, to see what really happened (default: the endpoints)",
    since: "edge",
  }),
  user: stringOption({
    flag: "user",
    default: "",
    doc: "name:password of a user who may do everything under --prefix",
    since: "edge",
  }),
  cacert: stringOption({
    flag: "cacert",
    default: "",
    doc: "CA file: connections are encrypted, and servers are checked against it by the name localhost",
    since: "edge",
  }),
  prefix: stringOption({
    flag: "prefix",
    default: "etcd-edge-verify/",
    doc: "every key of the run begins with it; what is there already is left alone",
    since: "edge",
  }),
  start: stringOption({
    flag: "start",
    default: "",
    doc: `instead of --endpoints: an etcd of its own with a door in front, one of ${Object.keys(doors).join(", ")}`,
    since: "edge",
    check: (value) =>
      value === "" || isDoor(value)
        ? undefined
        : `--start must be one of ${Object.keys(doors).join(", ")}, not ${value}`,
  }),
  etcd: stringOption({
    flag: "etcd",
    default: "",
    doc: "version of the etcd that --start takes, of those installed (default: the newest)",
    since: "edge",
  }),
  members: intOption({
    flag: "members",
    default: 3,
    doc: "how many etcd members --start starts: 1 or 3",
    since: "edge",
    check: (value) => (value === 1 || value === 3 ? undefined : `--members must be 1 or 3, not ${value}`),
  }),
  replicas: intOption({
    flag: "replicas",
    default: 1,
    doc: "how many replicas of the door --start starts",
    since: "edge",
    check: positive("replicas"),
  }),
  httpReplicas: intOption({
    flag: "http-replicas",
    default: 0,
    doc: "how many replicas of http-gateway --start starts beside the door, before the same etcd: of four clients three watch there, as JSON lines, as Server-Sent Events and over a WebSocket, and one in three reads and writes",
    since: "edge",
    check: (value) => (value >= 0 ? undefined : `--http-replicas must not be negative: ${value}`),
  }),
  tls: boolOption({
    flag: "tls",
    default: false,
    doc: "encrypt every hop of what --start starts",
    since: "edge",
  }),
  nats: boolOption({
    flag: "nats",
    default: false,
    doc: "replicas of what --start starts share what they watch, over a NATS server of their own",
    since: "edge",
  }),
  redis: boolOption({
    flag: "redis",
    default: false,
    doc: "replicas of the gRPC proxy that --start starts leave each other answers, in a Redis of their own",
    since: "edge",
  }),
  tokenTtl: durationOption({
    flag: "token-ttl",
    default: 0,
    doc: "switch users on in what --start starts, with tokens that are forgotten after this time without use",
    since: "edge",
  }),
  limitedUsers: intOption({
    flag: "limited-users",
    default: 3,
    doc: "with --token-ttl: users beside root, whose half of the clients may read and write some keys only, now these and now those",
    since: "edge",
    check: (value) => (value >= 0 ? undefined : `--limited-users must not be negative: ${value}`),
  }),
  serviceUser: boolOption({
    flag: "service-user",
    default: false,
    doc: "with --token-ttl: our proxies have a user of their own, under which all who may share what is watched and read",
    since: "edge",
  }),
  faults: stringsOption({
    flag: "faults",
    default: [],
    doc: `what --start suffers meanwhile, or all: ${Object.keys(faults).join(", ")}`,
    since: "edge",
    check: (values) => {
      const wrong = values.find((value) => value !== "all" && !isFault(value));
      return wrong === undefined ? undefined : `--faults: ${JSON.stringify(wrong)} is not a fault`;
    },
  }),
  duration: durationOption({
    flag: "duration",
    default: 20_000,
    doc: "how long traffic runs in all",
    since: "edge",
    check: positive("duration"),
  }),
  round: durationOption({
    flag: "round",
    default: 20_000,
    doc: "how long traffic runs before it comes to rest and its history is judged",
    since: "edge",
    check: positive("round"),
  }),
  seed: uint32Option({
    flag: "seed",
    default: 0,
    doc: "of every decision; printed at the start (default: by the clock)",
    since: "edge",
  }),
  rate: intOption({
    flag: "rate",
    default: 300,
    doc: "reads and writes a second",
    since: "edge",
    check: positive("rate"),
  }),
  clients: intOption({
    flag: "clients",
    default: 8,
    doc: "clients that read and write",
    since: "edge",
    check: positive("clients"),
  }),
  watchStreams: intOption({
    flag: "watch-streams",
    default: 10,
    doc: "watch streams, with up to four watches each",
    since: "edge",
    check: positive("watch-streams"),
  }),
  backlog: intOption({
    flag: "backlog",
    default: 1_500,
    doc: "writes before the first watch of a round",
    since: "edge",
  }),
  compactEvery: durationOption({
    flag: "compact-every",
    default: 1_500,
    doc: "how often something is compacted, 0 for never: history is gone for everybody who uses that etcd",
    since: "edge",
  }),
  allow: stringsOption({
    flag: "allow",
    default: [],
    doc: `promises whose violations are reported and forgiven: ${promises.join(", ")}`,
    since: "edge",
    check: (values) => {
      const wrong = values.find((value) => !promises.some((one) => one === value));
      return wrong === undefined ? undefined : `--allow: ${JSON.stringify(wrong)} is not a promise`;
    },
  }),
  out: stringOption({
    flag: "out",
    default: ".cache/verify",
    doc: "folder for report.json, and what shows a violation: its smallest history as text and as a picture",
    since: "edge",
  }),
};

export type VerifyConfig = OptionValues<typeof verifyOptions>;

/** What no flag can say alone. @returns one sentence for each problem */
export function findProblems(config: VerifyConfig): readonly string[] {
  const problems: string[] = [];
  if (config.start === "" && config.endpoints.length === 0) problems.push("--endpoints or --start is needed");
  if (config.start !== "" && config.endpoints.length > 0)
    problems.push("--endpoints and --start exclude each other");
  if (config.endpoints.length === 0 && config.httpEndpoints.length > 0)
    problems.push("--http-endpoints needs --endpoints: --start starts doors of its own by --http-replicas");
  if (config.start === "" && config.faults.length > 0)
    problems.push("--faults needs --start: only what it starts may be disturbed");
  if (config.serviceUser && config.tokenTtl === 0)
    problems.push("--service-user needs --token-ttl: there are no users without it");
  if (config.user !== "" && !config.user.includes(":")) problems.push("--user must be name:password");
  return problems;
}
