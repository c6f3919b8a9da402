/** A proxy as it stands in etcd. */
export interface RegisteredProxy {
  /** Name of its host; shown as the member's name. */
  readonly name: string;
  /** Where clients reach it, as it said. */
  readonly address: string;
  /** Of ours, where somebody entered it who knows; nothing for what a grpc-proxy, ours or etcd's, wrote itself. */
  readonly tier?: string;
}

/** All keys of a registry begin with this: the slash keeps `foo` from picking up `foo-other`. */
export function registryPrefix(namespace: string, resolverPrefix: string): string {
  return `${namespace}${resolverPrefix}/`;
}

/**
 * The value of a registration, byte for byte as etcd's proxy writes it: members in this order, the metadata as JSON
 * inside a JSON string. Read by Go's `naming/endpoints`, which takes it from gRPC's old `naming.Update` (`Op` 0: add).
 */
export function formatRegistryValue({ name, address, tier }: RegisteredProxy): string {
  const metadata = { name, ...(tier === undefined ? {} : { tier }) };
  return JSON.stringify({ Op: 0, Addr: address, Metadata: JSON.stringify(metadata) });
}

/**
 * Reads such a value. `Op` says nothing: whether an entry is there is a matter of its key.
 * @throws Error that says what is wrong with the value
 */
export function parseRegistryValue(value: string): RegisteredProxy {
  const entry = parseObject(value, "value");
  if (typeof entry["Addr"] !== "string" || entry["Addr"] === "") throw new Error("Addr is not a text");
  if (typeof entry["Metadata"] !== "string") throw new Error("Metadata is not a text with JSON in it");
  const metadata = parseObject(entry["Metadata"], "Metadata");
  if (typeof metadata["name"] !== "string") throw new Error("the name in Metadata is not a text");
  const { tier } = metadata;
  return { name: metadata["name"], address: entry["Addr"], ...(typeof tier === "string" ? { tier } : {}) };
}

function parseObject(text: string, what: string): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is not JSON`, { cause: error });
  }
  if (typeof parsed !== "object" || parsed === null) throw new Error(`${what} is not a JSON object`);
  return parsed as Readonly<Record<string, unknown>>;
}
