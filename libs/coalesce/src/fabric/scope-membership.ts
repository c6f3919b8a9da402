import type { Envelope, HeaderView } from "@etcd-edge/proto";
import type { KeyRange } from "../range/key-range.ts";
import type { HubPort } from "../watch/sharing.ts";
import type { FabricContext } from "./fabric-context.ts";
import { ScopeWire } from "./scope-wire.ts";

/** How long others are given to say what they have, when we come. */
const rollCallMs = 50;
const joinTimeoutMs = 500;
const smallestKey: KeyRange = { t: "point", key: Uint8Array.of(0) };

/**
 *     apart ──a cluster is known, and there is a bus──▶ joining ──the others have answered──▶ joined
 *       ▲                                                  │                                    │
 *       └────────────────── the bus is gone, another cluster ◀──────────────────────────────────┘
 */
type Standing =
  | { readonly t: "apart" }
  | { readonly t: "joining"; readonly wire: ScopeWire; readonly done: Promise<void> }
  | { readonly t: "joined"; readonly wire: ScopeWire };

export interface MembershipListener {
  onMessage(replica: string, body: Envelope["body"]): void;
  /** What is said is heard from now on; others have not answered. */
  onEntering(): void;
  onJoined(): void;
  /** The last words may be said. */
  onLeaving(): void;
  onLeft(): void;
}

/** Whether this replica is one of those that share the feeds of an identity scope, and its wire to the others. */
export class ScopeMembership {
  readonly #context: FabricContext;
  readonly #scope: string;
  readonly #hub: HubPort;
  readonly #listener: MembershipListener;
  #standing: Standing = { t: "apart" };
  /** We are about to go for good: others are to take over what we watch. */
  isDraining = false;

  constructor(context: FabricContext, scope: string, hub: HubPort, listener: MembershipListener) {
    this.#context = context;
    this.#scope = scope;
    this.#hub = hub;
    this.#listener = listener;
  }

  get state(): Standing["t"] {
    return this.#standing.t;
  }

  /** Nothing while we are apart. */
  get wire(): ScopeWire | undefined {
    return this.#standing.t === "apart" ? undefined : this.#standing.wire;
  }

  /** Whether we know who else is there, and they can be reached. */
  get isActive(): boolean {
    return this.#standing.t === "joined" && this.#context.bus.isConnected;
  }

  /** Settles when we have joined, or could not; nothing where that is not under way. */
  get joining(): Promise<void> | undefined {
    return this.#standing.t === "joining" ? this.#standing.done : undefined;
  }

  /** @param range that may be read with the credential of the scope, if one is known */
  join(range: KeyRange | undefined): void {
    const { bus, clock } = this.#context;
    const { clusterId } = this.#hub;
    if (this.#standing.t !== "apart" || !bus.isConnected || clusterId === undefined) return;
    const wire = new ScopeWire({
      ...{ ...this.#context, replica: this.#context.id, clusterId, scope: this.#scope },
      listener: { onMessage: (replica, body) => this.#listener.onMessage(replica, body) },
    });
    const limit = new Promise<void>((resolve) => clock.setTimer(joinTimeoutMs, resolve));
    const done = Promise.race([this.#enter(clusterId, range ?? smallestKey), limit]).then(
      () => this.#entered(wire),
      () => this.leave(wire),
    );
    this.#standing = { t: "joining", wire, done };
  }

  /** @param wire of a membership that may be over already */
  leave(wire: ScopeWire | undefined = this.wire): void {
    if (wire === undefined || wire !== this.wire) return;
    this.#listener.onLeaving();
    wire.close();
    this.#standing = { t: "apart" };
    this.#listener.onLeft();
  }

  async #enter(clusterId: bigint, range: KeyRange): Promise<void> {
    const { bus, clock, epochs, roster } = this.#context;
    const probe = (): Promise<HeaderView> => this.#hub.probe(range);
    await Promise.all([epochs.settle(clusterId, probe), bus.flush()]);
    // Others who come at the same moment learn of us before either of us decides anything.
    this.#listener.onEntering();
    if (roster.size > 0) await new Promise<void>((resolve) => clock.setTimer(rollCallMs, resolve));
  }

  #entered(wire: ScopeWire): void {
    if (this.#standing.t !== "joining" || this.#standing.wire !== wire) return;
    // Too slow is as good as never: what is heard from now on still counts.
    this.#standing = { t: "joined", wire };
    this.#listener.onJoined();
  }
}
