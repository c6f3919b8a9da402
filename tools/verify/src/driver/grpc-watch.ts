import type { WatchResponse } from "@etcd-edge/proto";
import { type EtcdClient, watch } from "./etcd-client.ts";
import type { WatchOpener } from "./watch-wire.ts";

/** Watches as calls of the Watch service. */
export function callsOver(client: EtcdClient): WatchOpener {
  return {
    limitedUser: client.limitedUser,
    via: "grpc",
    openWatch: async (listener) => {
      const call = await client.open(watch.watch);
      call.on("data", (message: WatchResponse) => listener.onMessage(message));
      call.on("error", (error: unknown) => listener.onError(error));
      call.on("end", () => listener.onEnd());
      return {
        write: (request) => void call.write(request),
        pause: () => void call.pause(),
        resume: () => void call.resume(),
        cancel: () => call.cancel(),
      };
    },
    forgetToken: () => client.forgetToken(),
    noteFailure: (error) => client.noteFailure(error),
  };
}
