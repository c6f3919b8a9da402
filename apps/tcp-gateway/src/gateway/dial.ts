import { connect, type OnReadOpts, type Socket } from "node:net";
import {
  type Endpoint,
  endpointAddress,
  endpointKey,
  isLocalError,
  isUnixEndpoint,
  lookupHost,
} from "@etcd-edge/endpoints";

export type DialResult =
  | { readonly t: "connected"; readonly socket: Socket; readonly endpoint: Endpoint }
  /** Every endpoint was tried or is out of use. */
  | { readonly t: "nobody" }
  /** This host cannot make connections now (no file descriptors, no ports). Nobody upstream is to blame. */
  | { readonly t: "local-failure"; readonly error: unknown };

export type DialOptions = {
  /** The next endpoint that is not among those tried. */
  readonly pick: (tried: ReadonlySet<string>) => Endpoint | undefined;
  readonly timeoutMs: number;
  /** Where the socket reads to; asked once per attempt, with the endpoint it goes to. */
  readonly onread: (endpoint: Endpoint) => OnReadOpts;
  readonly onFailure: (endpoint: Endpoint, error: string) => void;
};

/** Connects to the first endpoint that answers in time, each at most once. Never rejects. */
export async function dialAny({ pick, timeoutMs, onread, onFailure }: DialOptions): Promise<DialResult> {
  const tried = new Set<string>();
  for (let endpoint = pick(tried); endpoint !== undefined; endpoint = pick(tried)) {
    tried.add(endpointKey(endpoint));
    try {
      return { t: "connected", endpoint, socket: await dial(endpoint, timeoutMs, onread(endpoint)) };
    } catch (error) {
      if (isLocalError(error)) return { t: "local-failure", error };
      onFailure(endpoint, error instanceof Error ? error.message : String(error));
    }
  }
  return { t: "nobody" };
}

/** What etcd's gateway gets from Go by default: no Nagle delay, keep-alive probes after 15 s. */
export const keepAliveMs = 15_000;

function dial(endpoint: Endpoint, timeoutMs: number, onread: OnReadOpts): Promise<Socket> {
  const common = {
    onread,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  };
  const socket = isUnixEndpoint(endpoint)
    ? connect({ path: endpoint.host, ...common })
    : connect({ host: endpoint.host, port: endpoint.port, lookup: lookupHost, ...common });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => socket.destroy(new Error(`dial ${endpointAddress(endpoint)}: i/o timeout`)),
      timeoutMs,
    );
    const onError = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", onError);
      resolve(socket);
    });
  });
}
