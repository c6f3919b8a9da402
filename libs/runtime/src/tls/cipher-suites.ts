import { getCiphers } from "node:tls";
import { ConfigError } from "../config-error.ts";

/**
 * Suites of TLS 1.2 by the names of Go's crypto/tls, which etcd takes, and what OpenSSL calls them. `undefined`: Go has
 * it, OpenSSL 3 has not.
 */
const suites: ReadonlyMap<string, string | undefined> = new Map([
  ["TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"],
  ["TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"],
  ["TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256"],
  ["TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"],
  ["TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  // Names that etcd knows besides.
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  ["TLS_RSA_WITH_RC4_128_SHA", undefined],
  ["TLS_RSA_WITH_3DES_EDE_CBC_SHA", undefined],
  ["TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", undefined],
  ["TLS_ECDHE_RSA_WITH_RC4_128_SHA", undefined],
  ["TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", undefined],
]);

/** Suites of TLS 1.3 have one name everywhere, and a list does not limit them: Go always offers all. */
const suitesOf13: readonly string[] = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
];

/**
 * Reads `--listen-cipher-suites`.
 * @returns nothing for an empty list; else OpenSSL's list, with the suites of TLS 1.3 in it
 * @throws ConfigError in etcd's words for names that nobody has, in ours for those that OpenSSL lacks
 */
export function parseCipherSuites(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const available = new Set(getCiphers().map((name) => name.toUpperCase()));
  const chosen: string[] = [];
  for (const name of names) {
    if (suitesOf13.includes(name)) continue;
    if (!suites.has(name)) throw new ConfigError(`unexpected TLS cipher suite ${JSON.stringify(name)}`);
    const suite = suites.get(name);
    if (suite === undefined || !available.has(suite)) {
      throw new ConfigError(
        `TLS cipher suite ${JSON.stringify(name)} is not available here: OpenSSL lacks it`,
      );
    }
    chosen.push(suite);
  }
  return [...chosen, ...suitesOf13].join(":");
}
