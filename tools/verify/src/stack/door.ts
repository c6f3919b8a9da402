/** What stands between clients and etcd, the nearest to the clients first. */
export const doors = {
  direct: { tiers: [], summary: "etcd itself" },
  "tcp-gateway": { tiers: ["tcp-gateway"], summary: "our TCP gateway" },
  "grpc-proxy": { tiers: ["grpc-proxy"], summary: "our gRPC proxy" },
  chain: { tiers: ["grpc-proxy", "tcp-gateway"], summary: "our gRPC proxy in front of our TCP gateway" },
  "etcd-gateway": { tiers: ["etcd-gateway"], summary: "etcd's own gateway" },
  "etcd-grpc-proxy": { tiers: ["etcd-grpc-proxy"], summary: "etcd's own gRPC proxy" },
} as const;

export type DoorName = keyof typeof doors;
export type TierName = (typeof doors)[DoorName]["tiers"][number];

export function isDoor(text: string): text is DoorName {
  return Object.hasOwn(doors, text);
}
