import { type Endpoint, endpointUrl } from "./endpoint.ts";
import { openTlsConnection, type TlsMaterial } from "./health/connect.ts";

export type ValidatedEndpoints = {
  readonly endpoints: readonly Endpoint[];
  /** In etcd's words: `"http://h:1" is insecure`, `"https://h:1" failed to dial (why)`. */
  readonly errors: readonly string[];
};

export type ValidationOptions = {
  /** CA (default: the system's) and, as `serverName`, the domain the certificate must be valid for. */
  readonly tls: TlsMaterial;
  /** For one handshake. Default 5000, as etcd. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/**
 * Keeps the endpoints that prove who they are: `https`, and a TLS handshake whose certificate chains to the CA and is
 * valid for the SRV domain (whoever can forge SRV answers can name any target, so the target's name proves nothing).
 * etcd's gateway only dials TCP here and takes an open port for proof.
 */
export async function validateEndpoints(
  endpoints: readonly Endpoint[],
  { tls, timeoutMs = 5_000, signal }: ValidationOptions,
): Promise<ValidatedEndpoints> {
  const verdicts = await Promise.all(
    endpoints.map(async (endpoint) => {
      const text = `"${endpointUrl(endpoint)}"`;
      if (endpoint.scheme !== "https") return `${text} is insecure`;
      const timeout = AbortSignal.timeout(timeoutMs);
      const limit = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
      try {
        (await openTlsConnection(endpoint, { tls, verify: true, signal: limit })).destroy();
        return endpoint;
      } catch (error) {
        return `${text} failed to dial (${timeout.aborted ? "i/o timeout" : error instanceof Error ? error.message : String(error)})`;
      }
    }),
  );
  signal?.throwIfAborted();
  return {
    endpoints: verdicts.filter((verdict) => typeof verdict !== "string"),
    errors: verdicts.filter((verdict) => typeof verdict === "string"),
  };
}
