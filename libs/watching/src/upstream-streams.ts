import {
  gatesOf,
  gatesOfStatusRefusal,
  oldestGates,
  type StreamOpener,
  type StreamPort,
  type StreamSink,
  type VersionGates,
} from "@etcd-edge/coalesce";
import { type ChannelBalancer, endpointKey, type Upstream } from "@etcd-edge/endpoints";
import { fromBinary, StatusResponseSchema } from "@etcd-edge/proto";
import { CallError, type RawMetadata, StatusCode } from "@etcd-edge/transport";
import type { MessageTransform } from "./message-transform.ts";
import { scopeMetadata } from "./scope-metadata.ts";

const watchPath = "/etcdserverpb.Watch/Watch";
const statusPath = "/etcdserverpb.Maintenance/Status";
const versionTimeoutMs = 5_000;
const nothing = new Uint8Array(0);

type Wish = Parameters<StreamOpener["pick"]>[0];

/** Opens Watch calls over the connections for long streams, which bulk traffic does not use. */
export class UpstreamStreams implements StreamOpener {
  readonly #balancer: ChannelBalancer;
  readonly #credential: () => string | undefined;
  readonly #transform: MessageTransform | undefined;

  /**
   * @param credential what etcd is shown, asked for each stream
   * @param transform what a namespace does to requests and answers: nothing behind this knows of it
   */
  constructor(
    balancer: ChannelBalancer,
    credential: () => string | undefined,
    transform: MessageTransform | undefined,
  ) {
    this.#balancer = balancer;
    this.#credential = credential;
    this.#transform = transform;
  }

  pick({ avoid, toward }: Wish): string | undefined {
    const wanted = toward === undefined ? undefined : this.#find(toward);
    if (wanted !== undefined && this.#balancer.isWorking(wanted)) return toward;
    const avoided = avoid === undefined ? undefined : this.#find(avoid);
    const others = avoided === undefined ? undefined : this.#balancer.pick(new Set([avoided]));
    // A member that is known to be of no use is no better than the one to be avoided.
    const isBetter = others !== undefined && (this.#balancer.isWorking(others) || avoided === undefined);
    const picked = isBetter ? others : this.#balancer.pick();
    return picked === undefined ? undefined : endpointKey(picked.endpoint);
  }

  open(member: string, sink: StreamSink): StreamPort {
    const upstream = this.#find(member) ?? this.#balancer.pick();
    if (upstream === undefined) throw new Error(`${member} is not an endpoint`); // asked for in the same turn as `pick`
    const transform = this.#transform;
    const metadata = scopeMetadata(this.#credential(), true);
    let isOver = false;
    const call = upstream.streams.open(
      watchPath,
      metadata,
      {},
      {
        onMessage: (payload) => {
          if (!isOver) sink.onMessage(transform === undefined ? payload : transform.response(payload));
        },
        onEnd: ({ code, message }) => {
          if (!isOver) sink.onEnd(code, message);
          isOver = true;
        },
      },
    );
    return {
      member,
      send: (request) =>
        void call.sendMessage(transform === undefined ? request : transform.request(request)),
      cancel: () => {
        isOver = true;
        call.cancel();
      },
      acceptsCluster: (clusterId) => this.#balancer.heard(upstream, clusterId),
      askGates: () => askGates(upstream, metadata),
    };
  }

  #find(member: string): Upstream | undefined {
    return this.#balancer.upstreams().find(({ endpoint }) => endpointKey(endpoint) === member);
  }
}

/** Over the connection of the stream itself: another may lead to another member (rule 4). */
async function askGates({ streams }: Upstream, metadata: RawMetadata): Promise<VersionGates> {
  const deadlineAt = performance.now() + versionTimeoutMs;
  try {
    const { payload } = await streams.unaryCall(statusPath, metadata, nothing, { deadlineAt });
    return gatesOf(fromBinary(StatusResponseSchema, payload).version);
  } catch (error) {
    const isRefusal = error instanceof CallError && refusals.has(error.code);
    return isRefusal && error.message.startsWith("etcdserver: ") ? gatesOfStatusRefusal : oldestGates;
  }
}

/** Codes of `user name is empty`, `permission denied` and `invalid auth token`. */
const refusals: ReadonlySet<number> = new Set([
  StatusCode.invalidArgument,
  StatusCode.permissionDenied,
  StatusCode.unauthenticated,
]);
