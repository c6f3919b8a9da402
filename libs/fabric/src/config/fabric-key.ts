import { ConfigError, readPem } from "@etcd-edge/runtime";

/** The key of `--fabric-key-file`. @throws ConfigError for a file that cannot be read, or is empty */
export function readFabricKey({ fabricKeyFile }: { readonly fabricKeyFile: string }): Uint8Array | undefined {
  if (fabricKeyFile === "") return undefined;
  const key = readPem(fabricKeyFile);
  if (key.length === 0) throw new ConfigError(`${fabricKeyFile} is empty`);
  return key;
}
