import {
  Auth,
  type DescMessage,
  type GrpcJsMethod,
  type GrpcJsService,
  KV,
  Lease,
  type MessageInitShape,
  type MessageShape,
  toGrpcJsService,
  Watch,
} from "@etcd-edge/proto";
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { CallClient } from "./call-client.ts";

/** The methods a run uses. */
export const kv: GrpcJsService<typeof KV> = toGrpcJsService(KV);
export const lease: GrpcJsService<typeof Lease> = toGrpcJsService(Lease);
export const watch: GrpcJsService<typeof Watch> = toGrpcJsService(Watch);
export const auth: GrpcJsService<typeof Auth> = toGrpcJsService(Auth);

export interface EtcdClientOptions {
  /** `host:port` of each; one is used until it fails, then the next. */
  readonly endpoints: readonly string[];
  /** PEM of the authority that signed the servers' certificates; plaintext without it. */
  readonly ca?: Buffer;
  readonly user?: EtcdUser;
}

export interface EtcdUser {
  readonly name: string;
  readonly password: string;
  /** May do some things only: to be refused is nothing that another token would mend. */
  readonly isLimited?: boolean;
}

const callTimeoutMs = 5_000;
const unavailable = 14;
const deadlineExceeded = 4;
const unauthenticated = 16;

/**
 * A client as users have it: grpc-js, which shares no code with ours and so cannot hide its faults; no retries, because a
 * failed call is part of the history. Disposing closes its connections.
 */
export class EtcdClient implements CallClient, Disposable {
  readonly #options: EtcdClientOptions;
  readonly #clients = new Map<string, Client>();
  #at: number;
  #token: string | undefined;

  /** @param first which of the endpoints to begin with */
  constructor(options: EtcdClientOptions, first = 0) {
    this.#options = options;
    this.#at = first % options.endpoints.length;
  }

  /** The user, where it is one who may do some things only. */
  get limitedUser(): string | undefined {
    const { user } = this.#options;
    return user?.isLimited === true ? user.name : undefined;
  }

  /** @throws ServiceError of grpc-js: `code`, `details` */
  async ask<I extends DescMessage, O extends DescMessage>(
    method: GrpcJsMethod<I, O>,
    request: MessageInitShape<I>,
    timeoutMs: number = callTimeoutMs,
  ): Promise<MessageShape<O>> {
    for (let attempt = 1; ; attempt++) {
      if (this.#options.user !== undefined) await this.#authenticate(timeoutMs);
      try {
        return await this.#once(method, request, timeoutMs, this.#metadata());
      } catch (error) {
        this.noteFailure(error);
        // Who has forgotten our token has done nothing: asked again with another, as etcd's own client does.
        const isForgotten = (error as Partial<ServiceError>).code === unauthenticated && attempt === 1;
        if (!isForgotten) throw error;
      }
    }
  }

  /** Opens a stream. Whoever opens it cancels it. @throws ServiceError where a token cannot be had */
  async open<I extends DescMessage, O extends DescMessage>(
    method: GrpcJsMethod<I, O>,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<ClientDuplexStream<MessageInitShape<I>, MessageShape<O>>> {
    if (this.#options.user !== undefined) await this.#authenticate(callTimeoutMs);
    const all = this.#metadata();
    for (const [name, value] of Object.entries(metadata)) all.set(name, value);
    return this.#client().makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      all,
    );
  }

  /** The next call gets a new token. */
  forgetToken(): void {
    this.#token = undefined;
  }

  /** Draws the lesson of a call that failed: another endpoint, another token. */
  noteFailure(error: unknown): void {
    const { code, details } = error as Partial<ServiceError>;
    if (code === unavailable || code === deadlineExceeded)
      this.#at = (this.#at + 1) % this.#options.endpoints.length;
    // A token that is not known, has expired, or is of an earlier revision of users and roles.
    const isOver = /auth token|auth store|user name is empty/.test(details ?? "");
    const isDenied = this.limitedUser === undefined && (details ?? "").includes("permission denied");
    if (isOver || isDenied) this.#token = undefined;
    // etcd waits for the raft index that a simple token names: with one of another cluster that may be for ever.
    if (code === deadlineExceeded) this.#token = undefined;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  async #authenticate(timeoutMs: number): Promise<void> {
    const { user } = this.#options;
    if (user === undefined || this.#token !== undefined) return;
    const { name, password } = user;
    const asked = { name, password };
    const { token } = await this.#once(auth.authenticate, asked, timeoutMs, new Metadata());
    this.#token = token;
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set("token", this.#token);
    return metadata;
  }

  #once<I extends DescMessage, O extends DescMessage>(
    method: GrpcJsMethod<I, O>,
    request: MessageInitShape<I>,
    timeoutMs: number,
    metadata: Metadata,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#client().makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          if (error !== null) reject(error);
          else if (answer === undefined) reject(new Error(`${method.path}: neither answer nor error`));
          else resolve(answer);
        },
      );
    });
  }

  #client(): Client {
    const address = this.#options.endpoints[this.#at] ?? "";
    const known = this.#clients.get(address);
    if (known !== undefined) return known;
    const { ca } = this.#options;
    const security = ca === undefined ? credentials.createInsecure() : credentials.createSsl(ca);
    const client = new Client(address, security, {
      "grpc.ssl_target_name_override": "localhost",
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      "grpc.max_receive_message_length": -1,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.min_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 500,
      // etcd allows a ping every 5 s.
      "grpc.keepalive_time_ms": 6_000,
      "grpc.keepalive_timeout_ms": 4_000,
    });
    this.#clients.set(address, client);
    return client;
  }
}

/** An error of grpc-js as `code text`. */
export function failureText(error: unknown): string {
  const { code, details, message } = error as Partial<ServiceError>;
  return code === undefined ? (message ?? String(error)) : `${code} ${details}`;
}
