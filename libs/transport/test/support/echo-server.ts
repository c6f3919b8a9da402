import {
  Server,
  type ServerCall,
  type ServerEvent,
  type ServerOptions,
  type ServerSink,
} from "../../src/index.ts";

/** A server under test, with what its handlers saw. */
export interface TestServer extends AsyncDisposable {
  readonly server: Server<undefined>;
  readonly port: number;
  readonly events: ServerEvent<undefined>[];
  readonly calls: ServerCall<undefined>[];
}

/** Answers every message with itself, and ends when the client has. */
export function echo(call: ServerCall<undefined>): ServerSink<undefined> {
  return {
    onMessage: (payload) => {
      if (!call.sendMessage(payload)) call.pause();
    },
    onDrain: () => call.resume(),
    onHalfClose: () => call.end(),
    onCancel: () => {
      // Nothing is kept per call.
    },
  };
}

/** Listens on a free port of 127.0.0.1; echoes unless options say otherwise. Disposing destroys. */
export async function startServer(options: Partial<ServerOptions<undefined>> = {}): Promise<TestServer> {
  const events: ServerEvent<undefined>[] = [];
  const calls: ServerCall<undefined>[] = [];
  const { onCall = echo, ...rest } = options;
  const server = new Server<undefined>({
    createData: () => undefined,
    onEvent: (event) => events.push(event),
    ...rest,
    onCall: (call) => {
      calls.push(call);
      return onCall(call);
    },
  });
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  return {
    server,
    port,
    events,
    calls,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
