import {
  type ClientRequest,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { text } from "node:stream/consumers";
import {
  AuthenticateRequestSchema,
  AuthenticateResponseSchema,
  DeleteRangeRequestSchema,
  DeleteRangeResponseSchema,
  type DescMessage,
  fromBinary,
  fromJson,
  type GrpcJsMethod,
  type MessageInitShape,
  type MessageShape,
  PutRequestSchema,
  PutResponseSchema,
  RangeRequestSchema,
  RangeResponseSchema,
  TxnRequestSchema,
  TxnResponseSchema,
  toBinary,
  toJson,
} from "@etcd-edge/proto";
import WebSocket from "ws";
import type { CallClient } from "./call-client.ts";
import { auth, type EtcdClientOptions } from "./etcd-client.ts";

const callTimeoutMs = 5_000;
const unavailable = 14;
const deadlineExceeded = 4;
const unauthenticated = 16;
const unknown = 2;

/** The calls of a run that the JSON door has, by their names in gRPC. */
const routes: Readonly<
  Record<string, { readonly path: string; readonly input: DescMessage; readonly output: DescMessage }>
> = {
  "/etcdserverpb.KV/Range": { path: "/v3/kv/range", input: RangeRequestSchema, output: RangeResponseSchema },
  "/etcdserverpb.KV/Put": { path: "/v3/kv/put", input: PutRequestSchema, output: PutResponseSchema },
  "/etcdserverpb.KV/DeleteRange": {
    path: "/v3/kv/deleterange",
    input: DeleteRangeRequestSchema,
    output: DeleteRangeResponseSchema,
  },
  "/etcdserverpb.KV/Txn": { path: "/v3/kv/txn", input: TxnRequestSchema, output: TxnResponseSchema },
  "/etcdserverpb.Auth/Authenticate": {
    path: "/v3/auth/authenticate",
    input: AuthenticateRequestSchema,
    output: AuthenticateResponseSchema,
  },
};

/** A failed call in the words of gRPC. */
export class HttpCallError extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, details: string) {
    super(`${code} ${details}`);
    this.code = code;
    this.details = details;
  }
}

/** What is asked for, beside the headers that every request has. */
export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client of the JSON door: Node's own HTTP, the generated codec's own JSON. Disposing closes its connections. */
export class HttpClient implements CallClient, Disposable {
  readonly #options: EtcdClientOptions;
  readonly #agent: PlainAgent;
  #at: number;
  #token: string | undefined;

  /** @param first which of the endpoints to begin with */
  constructor(options: EtcdClientOptions, first = 0) {
    this.#options = options;
    this.#at = first % options.endpoints.length;
    const { ca } = options;
    this.#agent =
      ca === undefined
        ? new PlainAgent({ keepAlive: true })
        : new SecureAgent({ keepAlive: true, ca, servername: "localhost" });
  }

  get limitedUser(): string | undefined {
    const { user } = this.#options;
    return user?.isLimited === true ? user.name : undefined;
  }

  async ask<I extends DescMessage, O extends DescMessage>(
    method: GrpcJsMethod<I, O>,
    request: MessageInitShape<I>,
    timeoutMs: number = callTimeoutMs,
  ): Promise<MessageShape<O>> {
    for (let attempt = 1; ; attempt++) {
      await this.authenticate();
      try {
        return await this.#once(method, request, timeoutMs);
      } catch (error) {
        this.noteFailure(error);
        if ((error as HttpCallError).code !== unauthenticated || attempt > 1) throw error;
      }
    }
  }

  /** Sees to it that there is a token, where there is a user. @throws HttpCallError */
  async authenticate(): Promise<void> {
    const { user } = this.#options;
    if (user === undefined || this.#token !== undefined) return;
    const { name, password } = user;
    const { token } = await this.#once(auth.authenticate, { name, password }, callTimeoutMs);
    this.#token = token;
  }

  /** Begins a request that its caller writes and ends. */
  begin({ method, path, headers = {} }: HttpRequest): ClientRequest {
    const [host = "", port = ""] = this.#endpoint.split(":");
    const all = { ...headers, ...this.#credential };
    const common = { host, port, method, path, headers: all, agent: this.#agent };
    return this.#options.ca === undefined ? plainRequest(common) : secureRequest(common);
  }

  /** Begins a WebSocket, which its caller ends. */
  beginSocket(path: string): WebSocket {
    const scheme = this.#options.ca === undefined ? "ws" : "wss";
    const options = { headers: this.#credential, agent: this.#agent };
    return new WebSocket(`${scheme}://${this.#endpoint}${path}`, options);
  }

  get #endpoint(): string {
    return this.#options.endpoints[this.#at] ?? "";
  }

  get #credential(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: this.#token };
  }

  forgetToken(): void {
    this.#token = undefined;
  }

  noteFailure(error: unknown): void {
    const { code, details = "" } = error as Partial<HttpCallError>;
    if (code === unavailable || code === deadlineExceeded)
      this.#at = (this.#at + 1) % this.#options.endpoints.length;
    const isOver = /auth token|auth store|user name is empty/.test(details);
    if (isOver || code === deadlineExceeded) this.#token = undefined;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #once<I extends DescMessage, O extends DescMessage>(
    method: GrpcJsMethod<I, O>,
    request: MessageInitShape<I>,
    timeoutMs: number,
  ): Promise<MessageShape<O>> {
    const route = routes[method.path];
    if (route === undefined) throw new Error(`${method.path} is not asked for over HTTP`);
    const { path, input, output } = route;
    const body = JSON.stringify(toJson(input, fromBinary(input, method.requestSerialize(request))));
    const headers = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
    const sent = this.begin({ method: "POST", path, headers });
    const patience = setTimeout(
      () => sent.destroy(new HttpCallError(deadlineExceeded, "no answer in time")),
      timeoutMs,
    );
    try {
      sent.end(body);
      const answer = await answerOf(sent);
      const said = await text(answer);
      if (answer.statusCode !== 200) throw toCallError(answer.statusCode, said);
      const message = fromJson(output, JSON.parse(said), { ignoreUnknownFields: true });
      return method.responseDeserialize(Buffer.from(toBinary(output, message)));
    } catch (error) {
      throw toLost(error);
    } finally {
      clearTimeout(patience);
    }
  }
}

/** @throws where the connection is lost before there is one */
export async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    sent.on("response", resolve);
    sent.on("error", reject);
  });
}

/** What a door says in JSON about a call that failed, in either of etcd's two dialects. */
export function toCallError(status: number | undefined, body: string): HttpCallError {
  try {
    const { code, message, error } = JSON.parse(body) as { code?: number; message?: string; error?: string };
    return new HttpCallError(code ?? unknown, message ?? error ?? `status ${status}`);
  } catch {
    return new HttpCallError(unknown, `status ${status}: ${body}`);
  }
}

/** Whatever Node says of a connection is UNAVAILABLE. */
export function toLost(error: unknown): HttpCallError {
  if (error instanceof HttpCallError) return error;
  return new HttpCallError(unavailable, error instanceof Error ? error.message : String(error));
}
