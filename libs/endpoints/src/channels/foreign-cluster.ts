/** How a call ends that somebody answered who is of another cluster (rule 32): what he said is shown to nobody. */
export const foreignCluster = { code: 14, message: "the endpoint belongs to another cluster" } as const;
