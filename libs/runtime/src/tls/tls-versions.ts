import type { SecureVersion } from "node:tls";
import { ConfigError } from "../config-error.ts";

const versions: ReadonlyMap<string, SecureVersion | undefined> = new Map([
  ["TLS1.2", "TLSv1.2"],
  ["TLS1.3", "TLSv1.3"],
  ["", undefined],
]);

/** Bounds of the protocol version; nothing where the platform decides. */
export interface TlsVersions {
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
}

/**
 * Reads `--tls-min-version` and `--tls-max-version`. Checked whether or not TLS is used, as etcd does.
 * @throws ConfigError in etcd's words
 */
export function parseTlsVersions(options: {
  min: string;
  max: string;
  hasCipherSuites: boolean;
}): TlsVersions {
  const minVersion = parseVersion(options.min, "tls-min-version");
  const maxVersion = parseVersion(options.max, "tls-max-version");
  if (minVersion === "TLSv1.3" && maxVersion === "TLSv1.2") {
    throw new ConfigError("min version (TLS1.3) is greater than max version (TLS1.2)");
  }
  if (minVersion === "TLSv1.3" && options.hasCipherSuites) {
    throw new ConfigError("cipher suites cannot be configured when only TLS1.3 is enabled");
  }
  return {
    ...(minVersion === undefined ? {} : { minVersion }),
    ...(maxVersion === undefined ? {} : { maxVersion }),
  };
}

function parseVersion(text: string, flag: string): SecureVersion | undefined {
  if (versions.has(text)) return versions.get(text);
  throw new ConfigError(
    `${flag} is invalid: unexpected TLS version ${JSON.stringify(text)} (must be one of: TLS1.2, TLS1.3)`,
  );
}
