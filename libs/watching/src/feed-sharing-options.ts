import { fabricOptions } from "@etcd-edge/fabric";
import { type OptionSpec, type OptionValues, uintOption } from "@etcd-edge/runtime";

/** Rows of the tiers whose replicas share feeds; `joinFabric` reads what they say. */
export const feedSharingOptions: typeof fabricOptions & { readonly fabricReopenRate: OptionSpec<"uint"> } = {
  ...fabricOptions,
  fabricReopenRate: uintOption({
    flag: "fabric-reopen-rate",
    default: 500,
    doc: "watches that are opened at etcd in a second because another replica or NATS was lost; the others wait their turn",
    since: "edge",
    check: (value) => (value > 0 ? undefined : "--fabric-reopen-rate must be positive"),
  }),
};

export type FeedSharingConfig = OptionValues<typeof feedSharingOptions>;
