import type { Logger } from "@etcd-edge/runtime";
import type { ServerEvent } from "@etcd-edge/transport";

/** One line per connection at debug; what went wrong at warn. */
export function logServerEvent<C>(event: ServerEvent<C>, logger: Logger): void {
  switch (event.t) {
    case "connectionOpened":
      logger.debug("client connected", { peer: event.connection.peer });
      return;
    case "connectionClosed":
      logger.debug("client disconnected", { peer: event.connection.peer, reason: event.reason });
      return;
    case "connectionRejected":
      logger.debug("client connection rejected", { peer: event.address, reason: event.reason });
      return;
    case "handlerFailed":
      logger.error("relay failed", { path: event.call.path, error: event.error });
      return;
    default:
      event satisfies never;
  }
}
