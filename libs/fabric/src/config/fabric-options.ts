import { type OptionSpec, type OptionValues, stringOption, stringsOption } from "@etcd-edge/runtime";

const edge = { since: "edge" } as const;

/** Rows of the tiers whose replicas talk to each other; `openBus` reads what they say. */
export const fabricOptions: {
  readonly natsUrl: OptionSpec<"strings">;
  readonly natsCredsFile: OptionSpec<"string">;
  readonly natsCacert: OptionSpec<"string">;
  readonly natsCert: OptionSpec<"string">;
  readonly natsKey: OptionSpec<"string">;
  readonly fabricPrefix: OptionSpec<"string">;
  readonly fabricKeyFile: OptionSpec<"string">;
} = {
  natsUrl: stringsOption({
    flag: "nats-url",
    default: [],
    doc: "comma separated NATS servers over which replicas talk to each other; without any a replica is on its own",
    ...edge,
  }),
  natsCredsFile: stringOption({
    flag: "nats-creds-file",
    default: "",
    doc: "path to the NATS credentials file",
    ...edge,
  }),
  natsCacert: stringOption({
    flag: "nats-cacert",
    default: "",
    doc: "verify certificates of NATS servers using this CA bundle",
    ...edge,
  }),
  natsCert: stringOption({
    flag: "nats-cert",
    default: "",
    doc: "identify connections with NATS servers using this TLS certificate file",
    ...edge,
  }),
  natsKey: stringOption({
    flag: "nats-key",
    default: "",
    doc: "identify connections with NATS servers using this TLS key file",
    ...edge,
  }),
  fabricPrefix: stringOption({
    flag: "fabric-prefix",
    default: "etcd-edge",
    doc: "what everything begins with that replicas share: deployments are told apart by it, and replicas that do not see the same keys must be",
    ...edge,
    check: (value) =>
      /^[^\s.*>]+(\.[^\s.*>]+)*$/.test(value)
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--fabric-prefix" flag: must be subject tokens`,
  }),
  fabricKeyFile: stringOption({
    flag: "fabric-key-file",
    default: "",
    doc: "file with the key that replicas seal with what they share; what is not sealed with it is ignored",
    ...edge,
  }),
};

export type FabricConfig = OptionValues<typeof fabricOptions>;
