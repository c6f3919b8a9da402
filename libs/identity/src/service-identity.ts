import { covers, type KeyRange, toKeyRange } from "@etcd-edge/coalesce";
import type { ChannelBalancer } from "@etcd-edge/endpoints";
import { Auth, Permission_Type, toGrpcJsService } from "@etcd-edge/proto";
import type { Clock, Timer } from "@etcd-edge/runtime";
import { CallError, NO_METADATA, type RawMetadata } from "@etcd-edge/transport";
import { credentialOfConnection, tokenToShow } from "./connection-credential.ts";
import { readJwt } from "./jwt-claims.ts";
import type { ServiceCredential } from "./service-credential.ts";
import { isStaleToken } from "./service-token.ts";

const auth = toGrpcJsService(Auth);

const callTimeoutMs = 5_000;
const retryMs = 1_000;
/** A JWT is fetched anew when less than this is left of it. */
const renewBeforeMs = 30_000;
/** How often etcd is asked whether users or roles have changed: each question is a proposal of the cluster's. */
const pollMs = 1_000;
/** What it says to those who may not ask, or that it has no such call (3.4): asked again when the token is new. */
const permissionDenied = 7;
const unavailable = 14;
const deadlineExceeded = 4;
const unimplemented = 12;

export interface ServiceIdentityOptions {
  /** One whose connections carry no client's calls (rule 8). Not disposed of. */
  readonly balancer: ChannelBalancer;
  /** Where it is a certificate's, the connections of `balancer` show that. */
  readonly own: ServiceCredential;
  readonly clock: Clock;
  /** Told when users, roles or whether there are any may have changed. */
  readonly onAuthChanged: () => void;
  /** Told, once for each reason, why etcd does not let us act as the user; tried again meanwhile. */
  readonly onRefused?: (error: unknown) => void;
}

/**
 *     waiting ──token, or auth is off──▶ ready ──it is refused──▶ waiting …
 *            ╰─etcd takes the certificate─╯
 */
type State = { readonly t: "waiting" } | { readonly t: "ready"; readonly credential: string | undefined };

/**
 * The identity of ours that shared feeds and reads have toward etcd, and that can say what a user may read. Its token is
 * fetched at the start, anew before it ends, and whenever etcd no longer takes it. Disposing stops its timers.
 */
export class ServiceIdentity implements Disposable {
  readonly balancer: ChannelBalancer;
  /** Resolves when the first attempt to get a token is over, whatever came of it. Never rejects. */
  readonly tried: Promise<void>;
  readonly #own: ServiceCredential;
  readonly #clock: Clock;
  readonly #onAuthChanged: () => void;
  readonly #onRefused: (error: unknown) => void;
  #lastRefusal: string | undefined = undefined;
  #state: State = { t: "waiting" };
  #refreshing: Promise<void> | undefined = undefined;
  #renewal: Timer | undefined = undefined;
  #poll: Timer | undefined = undefined;
  #authRevision: bigint | undefined = undefined;
  #isOver = false;

  constructor({ balancer, own, clock, onAuthChanged, onRefused = () => {} }: ServiceIdentityOptions) {
    this.balancer = balancer;
    this.#own = own;
    this.#onRefused = onRefused;
    this.#clock = clock;
    this.#onAuthChanged = onAuthChanged;
    this.tried = this.refresh();
  }

  /** The user of etcd that it is. */
  get user(): string {
    return this.#own.user;
  }

  /** Whether anything can be done under it now. */
  get isReady(): boolean {
    return this.#state.t === "ready";
  }

  /** What tells it apart: a token, or what stands for its certificate. Nothing while it waits, or auth is off and says so. */
  readonly credential = (): string | undefined =>
    this.#state.t === "ready" ? this.#state.credential : undefined;

  /** Fetches another token; tries again by itself where that fails. Callers at the same time share it. Never rejects. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#fetch().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /**
   * The revision of users and roles, as our own token says it, or etcd to whom a certificate names; nothing while auth is off. A new
   * token is fetched for it.
   * @throws Error where it is not to be had: a simple token says nothing, and `AuthStatus` is there since 3.5, for root until 3.6
   */
  async authRevision(): Promise<bigint | undefined> {
    if (this.#own.by === "certificate") return await this.#askAuthRevision();
    await this.refresh();
    if (this.#state.t !== "ready") throw new Error("etcd gives no token to --user now");
    if (this.#state.credential === undefined) return undefined;
    const revision = readJwt(this.#state.credential)?.revision;
    if (revision === undefined)
      throw new Error("etcd does not use JWT tokens: --auth-jwt-key is of no use with it");
    return revision;
  }

  /**
   * Whether a user may read a range of etcd's keys, by the roles of today.
   * @returns nothing where our own user may not ask, or nobody answers. Never rejects.
   */
  async mayRead(user: string, range: KeyRange): Promise<boolean | undefined> {
    try {
      const { roles } = await this.#call(auth.userGet, { name: user });
      if (roles.includes("root")) return true;
      const answers = await Promise.all(roles.map((role) => this.#call(auth.roleGet, { role })));
      const readable = answers
        .flatMap(({ perm }) => perm)
        .filter(({ permType }) => permType !== Permission_Type.WRITE);
      return covers(
        readable.flatMap((permission) => toKeyRange(permission) ?? []),
        range,
      );
    } catch (error) {
      return error instanceof CallError && error.message === "etcdserver: user name not found"
        ? false
        : undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#renewal?.stop();
    this.#poll?.stop();
  }

  async #fetch(): Promise<void> {
    this.#renewal?.stop();
    this.#state = { t: "waiting" };
    try {
      const credential = await this.#enter();
      if (this.#isOver) return;
      this.#state = { t: "ready", credential };
      this.#lastRefusal = undefined;
      this.#onAuthChanged();
      this.#renewal = credential === undefined ? undefined : this.#renewLater(credential);
      // At once: a change before the first answer is one that nobody sees.
      void this.#askRevision();
    } catch (error) {
      if (this.#isOver) return;
      this.#tellRefusal(error);
      this.#renewal = this.#clock.setTimer(retryMs, () => void this.refresh());
    }
  }

  /** @returns what tells us apart from now on @throws CallError, or why etcd does not take the certificate */
  async #enter(): Promise<string | undefined> {
    this.#own.forget();
    const [, token] = await this.#own.metadata((path, metadata, payload) =>
      this.#send(path, metadata, payload),
    );
    if (this.#own.by === "token") return token;
    await this.#checkCertificate();
    return credentialOfConnection(this.user);
  }

  /** Everybody may ask about themselves, and only about themselves: the answer tells whom etcd takes us for. */
  async #checkCertificate(): Promise<void> {
    const { path, requestSerialize } = auth.userGet;
    try {
      await this.#send(path, NO_METADATA, requestSerialize({ name: this.user }));
    } catch (error) {
      const text = error instanceof CallError ? error.message : "";
      if (text === "etcdserver: permission denied") return; // it is somebody; that is for them to say who asks for something
      if (text === "etcdserver: user name is empty")
        throw new Error("etcd takes no user from certificates: it needs --client-cert-auth", {
          cause: error,
        });
      if (text === "etcdserver: user name not found")
        throw new Error(`etcd has no user ${JSON.stringify(this.user)}`, { cause: error });
      throw error;
    }
  }

  /** That etcd is away is told by those who look after its health. */
  #tellRefusal(error: unknown): void {
    if (error instanceof CallError && (error.code === unavailable || error.code === deadlineExceeded)) return;
    const text = error instanceof Error ? error.message : String(error);
    if (text === this.#lastRefusal) return;
    this.#lastRefusal = text;
    this.#onRefused(error);
  }

  async #askAuthRevision(): Promise<bigint | undefined> {
    try {
      const { enabled, authRevision } = await this.#call(auth.authStatus, {});
      return enabled ? authRevision : undefined;
    } catch (error) {
      const code = error instanceof CallError ? error.code : undefined;
      if (code === unimplemented)
        throw new Error("--auth-jwt-key needs --user with etcd 3.4, not --user-cert", { cause: error });
      if (code === permissionDenied)
        throw new Error("--auth-jwt-key with --user-cert needs the role root before etcd 3.7", {
          cause: error,
        });
      throw error;
    }
  }

  /** Without a gap: the old one serves until the new one is there, for it is good for some time still. */
  #renewLater(token: string): Timer | undefined {
    const endsAtMs = readJwt(token)?.expiresAtMs;
    if (endsAtMs === undefined) return undefined;
    const leftMs = endsAtMs - Date.now();
    return this.#clock.setTimer(Math.max(retryMs, Math.min(leftMs - renewBeforeMs, leftMs * 0.8)), () => {
      const before = this.#state;
      const renewed = this.refresh();
      this.#state = before;
      void renewed;
    });
  }

  #pollSoon(): void {
    this.#poll?.stop();
    if (!this.#isOver) this.#poll = this.#clock.setTimer(pollMs, () => void this.#askRevision());
  }

  /** Users and roles have a revision of their own. Those who may not ask for it have `--auth-recheck` alone. */
  async #askRevision(): Promise<void> {
    try {
      const { authRevision } = await this.#call(auth.authStatus, {});
      const isChanged = this.#authRevision !== undefined && this.#authRevision !== authRevision;
      this.#authRevision = authRevision;
      if (isChanged) this.#onAuthChanged();
    } catch (error) {
      const isFinal =
        error instanceof CallError && (error.code === permissionDenied || error.code === unimplemented);
      if (isFinal) return;
    }
    this.#pollSoon();
  }

  /** A call of our own, once more with a new token where the first was refused. @throws CallError */
  async #call<I, O>(method: UnaryMethod<I, O>, request: I): Promise<O> {
    const ask = async (): Promise<O> => {
      const token = tokenToShow(this.credential());
      const metadata = token === undefined ? [] : ["token", token];
      return method.responseDeserialize(
        await this.#send(method.path, metadata, method.requestSerialize(request)),
      );
    };
    try {
      return await ask();
    } catch (error) {
      if (!isStaleToken(error)) throw error;
      await this.refresh();
      return await ask();
    }
  }

  async #send(path: string, metadata: RawMetadata, payload: Uint8Array): Promise<Buffer> {
    const upstream = this.balancer.pick();
    if (upstream === undefined) throw noEndpoint();
    const deadlineAt = performance.now() + callTimeoutMs;
    return (await upstream.calls.unaryCall(path, metadata, payload, { deadlineAt })).payload;
  }
}

function noEndpoint(): CallError {
  return new CallError({
    code: 14,
    message: "no etcd endpoint is available",
    metadata: [],
    progress: "notSent",
  });
}

interface UnaryMethod<I, O> {
  readonly path: string;
  readonly requestSerialize: (request: I) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => O;
}
