import { boolOption, type OptionSpec, stringOption } from "../options/option.ts";

/** Rows of the tiers that speak TLS to etcd as its clients; `loadClientTls` reads what they name. */
export const upstreamTlsOptions: {
  readonly cert: OptionSpec<"string">;
  readonly key: OptionSpec<"string">;
  readonly cacert: OptionSpec<"string">;
  readonly insecureSkipTlsVerify: OptionSpec<"bool">;
} = {
  cert: stringOption({
    flag: "cert",
    default: "",
    doc: "identify secure connections with etcd servers using this TLS certificate file",
    since: "3.4",
  }),
  key: stringOption({
    flag: "key",
    default: "",
    doc: "identify secure connections with etcd servers using this TLS key file",
    since: "3.4",
  }),
  cacert: stringOption({
    flag: "cacert",
    default: "",
    doc: "verify certificates of TLS-enabled secure etcd servers using this CA bundle",
    since: "3.4",
  }),
  insecureSkipTlsVerify: boolOption({
    flag: "insecure-skip-tls-verify",
    default: false,
    doc: "skip authentication of etcd server TLS certificates (CAUTION: this option should be enabled only for testing purposes)",
    since: "3.4",
  }),
};
