import type { Channel, ServerCall, ServerSink } from "../../src/index.ts";

/** The smallest proxy: every call goes upstream as it is, with backpressure, cancellation and deadline both ways. */
export function relayTo(
  channel: Pick<Channel, "open">,
): (call: ServerCall<undefined>) => ServerSink<undefined> {
  return (call) => {
    const { deadlineAt } = call;
    const upstream = channel.open(call.path, call.metadata, deadlineAt === undefined ? {} : { deadlineAt }, {
      onHeaders: (metadata) => call.sendHeaders(metadata),
      onMessage: (payload) => {
        if (!call.sendMessage(payload)) upstream.pause();
      },
      onEnd: ({ code, message, metadata }) => call.end({ code, message, metadata }),
      onDrain: () => call.resume(),
    });
    return {
      onMessage: (payload) => {
        if (!upstream.sendMessage(payload)) call.pause();
      },
      onHalfClose: () => upstream.halfClose(),
      onCancel: () => upstream.cancel(),
      onDrain: () => upstream.resume(),
    };
  };
}
