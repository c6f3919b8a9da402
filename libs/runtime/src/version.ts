import manifest from "../package.json" with { type: "json" };

/** The version of etcd-edge; all its packages carry the same. */
export const version: string = manifest.version;
