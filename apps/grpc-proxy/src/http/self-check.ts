import { type Endpoint, toChannelTarget } from "@etcd-edge/endpoints";
import { toGrpcJsService, Watch } from "@etcd-edge/proto";
import type { ServerTls } from "@etcd-edge/runtime";
import { Channel, NO_METADATA } from "@etcd-edge/transport";
import { askChannel } from "./ask-channel.ts";
import { createReadCheck, type HealthCheck } from "./health.ts";

const watch = toGrpcJsService(Watch).watch;
const watchTimeoutMs = 3_000;

/** A check of this very proxy, as its clients meet it. Disposing closes its connection; twice is fine. */
export interface SelfCheck extends AsyncDisposable {
  readonly check: HealthCheck;
}

/**
 * `/proxy/health`: a read through the address that clients are told (`--advertise-client-url`), then a watch there that
 * must be answered within 3 s. It dials when it is first asked. Toward a listener that wants client certificates it
 * shows the listener's own; whom it reached is not verified, for it asks whether the door works, not whose it is.
 * @param endpoint nothing where no address is advertised: the check never holds
 */
export function createSelfCheck(endpoint: Endpoint | undefined, tls: ServerTls | undefined): SelfCheck {
  if (endpoint === undefined) {
    return {
      check: () => Promise.resolve("no connection to proxy"),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const clientTls =
    tls === undefined ? undefined : { current: () => ({ ...tls.identity(), rejectUnauthorized: false }) };
  const channel = new Channel(toChannelTarget(endpoint, clientTls));
  // The namespace is put in by ourselves, on the way.
  const read = createReadCheck(
    askChannel(() => channel),
    "",
  );
  return {
    check: async () => (await read()) ?? (await checkWatch(channel)),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

/** Any answer will do: a refusal of a nameless client shows a watch that works. */
function checkWatch(channel: Channel): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const options = { deadlineAt: performance.now() + watchTimeoutMs };
  const call = channel.open(watch.path, NO_METADATA, options, {
    onMessage: () => resolve(undefined),
    onEnd: () => resolve("WATCH TIMEOUT"),
  });
  const value = { key: Buffer.from("a") };
  call.sendMessage(watch.requestSerialize({ requestUnion: { case: "createRequest", value } }));
  return promise.finally(() => call.cancel());
}
