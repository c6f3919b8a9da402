import { type OptionSpec, stringOption } from "@etcd-edge/runtime";

/** The flags of a tier that has a user of etcd's of its own; `readServiceUser` reads what they say. */
export const identityOptions: {
  readonly user: OptionSpec<"string">;
  readonly passwordFile: OptionSpec<"string">;
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
};
