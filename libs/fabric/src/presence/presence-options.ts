import { type OptionSpec, stringOption } from "@etcd-edge/runtime";

/** The row of a tier that discovery tells of, where etcd has no such flag. */
export const presenceOptions: { readonly advertiseUrl: OptionSpec<"string"> } = {
  advertiseUrl: stringOption({
    flag: "advertise-url",
    default: "",
    doc: "host:port or URL at which clients reach this replica, told to --discovery-url and on NATS; {hostname} is filled in; empty tells nobody",
    since: "edge",
  }),
};
