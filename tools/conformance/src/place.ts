/** The tiers between client and etcd, the nearest to the client first. */
export const doors: readonly {
  readonly name: string;
  readonly tiers: readonly ("grpc-proxy" | "tcp-gateway")[];
}[] = [
  { name: "direct", tiers: [] },
  { name: "grpc-proxy", tiers: ["grpc-proxy"] },
  { name: "grpc-proxy → tcp-gateway", tiers: ["grpc-proxy", "tcp-gateway"] },
];

/** One point in the space of set-ups that the suite runs in. */
export interface Place {
  readonly version: string;
  /** Name of one of {@link doors}. */
  readonly door: string;
  readonly members: 1 | 3;
  /** Of the client's connection and of etcd's listener alike. */
  readonly security: "plain" | "TLS";
  /** `--namespace` of the proxy; always empty where the door is direct. */
  readonly namespace: "" | "ns/";
}

/** Every combination of the axes, for the etcd versions given. */
export function allPlaces(versions: readonly string[]): readonly Place[] {
  const places: Place[] = [];
  for (const version of versions) {
    for (const door of doors) {
      for (const members of [1, 3] as const) {
        for (const security of ["plain", "TLS"] as const) {
          for (const namespace of ["", "ns/"] as const) {
            if (door.tiers.length === 0 && namespace !== "") continue;
            places.push({ version, door: door.name, members, security, namespace });
          }
        }
      }
    }
  }
  return places;
}

/**
 * A few of them in which every value of every axis is met, each version straight and through a proxy, because what is
 * expected differs by version. Greedy and always the same: the cheaper set-up wins a draw.
 */
export function coveringPlaces(all: readonly Place[]): readonly Place[] {
  const wanted = new Set(all.flatMap(traitsOf));
  const chosen: Place[] = [];
  while (wanted.size > 0) {
    const gain = (place: Place): number => traitsOf(place).filter((trait) => wanted.has(trait)).length;
    const best = all.reduce((a, b) => (gain(b) > gain(a) ? b : a));
    for (const trait of traitsOf(best)) wanted.delete(trait);
    chosen.push(best);
  }
  return chosen.sort((a, b) => all.indexOf(a) - all.indexOf(b));
}

function traitsOf(place: Place): string[] {
  const { version, door, members, security, namespace } = place;
  const isDirect = door === "direct";
  return [
    `${version} ${isDirect ? "direct" : "proxied"}`,
    door,
    `${members} ${isDirect}`,
    `${security} ${isDirect}`,
    ...(isDirect ? [] : [`namespace ${namespace}`]),
  ];
}

/** `3.5.30, grpc-proxy, 3 members, TLS, namespace ns/` */
export function describePlace(place: Place): string {
  const { version, door, members, security, namespace } = place;
  const parts = [version, door, members === 1 ? "1 member" : "3 members", security];
  return [...parts, ...(namespace === "" ? [] : [`namespace ${namespace}`])].join(", ");
}
