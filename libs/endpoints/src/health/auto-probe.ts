import { type Endpoint, endpointKey, isTlsEndpoint } from "../endpoint.ts";
import type { Opening } from "./connect.ts";
import type { Probe } from "./probe.ts";
import { createHttp2Probe, createTlsProbe, hungUp } from "./socket-probes.ts";

/**
 * A sign of life from whatever etcd's ports may speak, found out per endpoint: an HTTP/2 greeting answered (gRPC, or
 * HTTP/1 with an error), else a TLS handshake completed. Endpoints whose scheme says TLS get the handshake at once.
 * What worked is remembered and tried alone until it fails by a hang-up.
 *
 * Not for servers that wait for bytes of some other protocol: they look stopped. Use `createTcpProbe` there.
 */
export function createAutoProbe(opening: Opening = {}): Probe {
  const probeTls = createTlsProbe(opening);
  const probeHttp2 = createHttp2Probe(opening);
  const speaksTls = new Set<string>();

  const probeEither: Probe = async (endpoint, signal) => {
    const greeted = await probeHttp2(endpoint, signal);
    if (greeted.t !== "unreachable" || greeted.error !== hungUp) return greeted;
    const shaken = await probeTls(endpoint, signal);
    if (shaken.t === "alive") speaksTls.add(endpointKey(endpoint));
    return shaken.t === "silent" ? shaken : shaken.t === "alive" ? shaken : greeted;
  };

  return async (endpoint: Endpoint, signal: AbortSignal) => {
    if (isTlsEndpoint(endpoint)) return probeTls(endpoint, signal);
    const key = endpointKey(endpoint);
    if (!speaksTls.has(key)) return probeEither(endpoint, signal);
    const result = await probeTls(endpoint, signal);
    if (result.t === "unreachable") speaksTls.delete(key);
    return result;
  };
}
