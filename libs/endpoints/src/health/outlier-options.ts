import { type OptionSpec, uintOption } from "@etcd-edge/runtime";

/** The row of a tier that finds outliers, see `Outliers`. */
export const outlierOptions: { readonly outlierFailures: OptionSpec<"uint"> } = {
  outlierFailures: uintOption({
    flag: "outlier-failures",
    default: 5,
    doc: "so many failures in a row at an endpoint that passes its checks, while another one serves, take it out for a while; 0 for never",
    since: "edge",
  }),
};
