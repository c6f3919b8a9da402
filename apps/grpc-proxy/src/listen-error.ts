import { ConfigError } from "@etcd-edge/runtime";

const reasons: ReadonlyMap<unknown, string> = new Map([
  ["EADDRINUSE", "bind: address already in use"],
  ["EACCES", "bind: permission denied"],
  ["EADDRNOTAVAIL", "bind: cannot assign requested address"],
]);

/** Why a listener could not be opened, in the words of Go's net package. */
export function toListenError(address: string, error: unknown): ConfigError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const why = reasons.get(code) ?? (error instanceof Error ? error.message : String(error));
  return new ConfigError(`listen tcp ${address}: ${why}`, { cause: error });
}
