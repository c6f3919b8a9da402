import { type OptionSpec, stringOption } from "@etcd-edge/runtime";

/** The flags of a tier that has a user of etcd's of its own; `loadOwnIdentity` reads what they say. */
export const identityOptions: {
  readonly user: OptionSpec<"string">;
  readonly passwordFile: OptionSpec<"string">;
  readonly userCert: OptionSpec<"string">;
  readonly userKey: OptionSpec<"string">;
} = {
  user: stringOption({
    flag: "user",
    default: "",
    doc: "user of etcd that this tier acts as in its own name, and that watches and reads are shared under by all clients who may read the same; clients' calls carry their own credential",
    since: "edge",
  }),
  passwordFile: stringOption({
    flag: "password-file",
    default: "",
    doc: "file with the password of --user",
    since: "edge",
  }),
  userCert: stringOption({
    flag: "user-cert",
    default: "",
    doc: "instead of --user: TLS certificate file whose Common Name is the user of etcd that this tier acts as in its own name; needs etcd with --client-cert-auth, and travels on connections that carry no client's call",
    since: "edge",
  }),
  userKey: stringOption({
    flag: "user-key",
    default: "",
    doc: "TLS key file of --user-cert",
    since: "edge",
  }),
};
