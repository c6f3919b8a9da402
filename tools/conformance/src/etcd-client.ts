import type { DescMessage, GrpcJsMethod, MessageInitShape, MessageShape } from "@etcd-edge/proto";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { MessageStream } from "./message-stream.ts";

/** How a call that failed ended. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
}

export interface CallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** Default 40 s, more than a busy machine needs: a call without an answer is a finding, not a hang of the suite. */
  readonly deadlineMs?: number;
  /** The caller gives up: the call ends as CANCELLED. */
  readonly signal?: AbortSignal;
}

/** What a call may name: any unary method of {@link toGrpcJsService}. */
type Method<I extends DescMessage, O extends DescMessage> = GrpcJsMethod<I, O>;

const defaultDeadlineMs = 40_000;

/**
 * A client that shares no code with ours: grpc-js over one connection, without retries and without limits on sizes.
 * Disposing closes the connection.
 */
export class EtcdClient implements Disposable {
  readonly #client: Client;

  /** @param ca PEM of the authority that signed the server's certificate; plaintext without it */
  constructor(address: string, ca?: Buffer) {
    const security = ca === undefined ? credentials.createInsecure() : credentials.createSsl(ca);
    this.#client = new Client(address, security, {
      // Node takes no address for the name in a certificate check.
      "grpc.ssl_target_name_override": "localhost",
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
    });
  }

  /** @throws ServiceError of grpc-js: `code`, `details`, `metadata` */
  ask<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        toMetadata(options),
        { deadline: Date.now() + (options.deadlineMs ?? defaultDeadlineMs) },
        (error, answer) => {
          if (error !== null) reject(error);
          else if (answer === undefined) reject(new Error(`${method.path}: neither answer nor error`));
          else resolve(answer);
        },
      );
      options.signal?.addEventListener("abort", () => call.cancel(), { once: true });
    });
  }

  /** The refusal of a call that must fail. @throws Error where it succeeds */
  async refusal<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<Refusal> {
    const outcome = await this.ask(method, request, options).then(
      () => undefined,
      (error: ServiceError) => ({ code: error.code, message: error.details }),
    );
    if (outcome === undefined) throw new Error(`${method.path} was not refused`);
    return outcome;
  }

  /** Opens a stream. Dispose of it. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    options: CallOptions = {},
  ): MessageStream<MessageInitShape<I>, MessageShape<O>> {
    return new MessageStream(
      this.#client.makeBidiStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        toMetadata(options),
      ),
    );
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function toMetadata(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value);
  return metadata;
}
