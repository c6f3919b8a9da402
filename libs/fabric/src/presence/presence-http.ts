import { createHmac, timingSafeEqual } from "node:crypto";
import type { Presence } from "./presence.ts";
import { decodePresence, encodePresence } from "./presence.ts";
import type { Messenger } from "./report-presence.ts";

/** Where replicas of discovery take presences: `POST` with the JSON of one. */
export const presencePath = "/v1/presence";
/** Hexadecimal HMAC-SHA256 of the body, with the key of `--fabric-key-file`. */
export const sealHeader = "x-etcd-edge-seal";
/** More is not read. */
export const maxPresenceBytes = 65_536;

const timeoutMs = 3_000;

/** Hears how the telling goes. */
export interface HttpMessengerListener {
  onFailed(url: string, error: unknown): void;
  onTold(url: string): void;
}

/** Tells presences to every replica of discovery, by HTTP: for tiers without NATS. */
export function createHttpMessenger(
  urls: readonly string[],
  key: Uint8Array | undefined,
  { onFailed, onTold }: HttpMessengerListener,
): Messenger {
  return {
    send: (presence) => {
      const body = encodePresence(presence);
      const headers = {
        "content-type": "application/json",
        ...(key === undefined ? {} : { [sealHeader]: sealOf(body, key) }),
      };
      return Promise.all(
        urls.map((url) =>
          fetch(new URL(presencePath, url), {
            method: "POST",
            headers,
            body,
            signal: AbortSignal.timeout(timeoutMs),
          }).then(
            async (response) => {
              await response.arrayBuffer();
              if (response.ok) onTold(url);
              else onFailed(url, new Error(`answered ${response.status}`));
            },
            (error: unknown) => onFailed(url, error),
          ),
        ),
      );
    },
    onWanted: () => () => {},
  };
}

/** Reads what came to `presencePath`. @returns nothing for what is not a presence, or not sealed with the key where there is one */
export function readPosted(
  body: Uint8Array,
  seal: string | undefined,
  key: Uint8Array | undefined,
): Presence | undefined {
  if (key !== undefined) {
    const expected = Buffer.from(sealOf(body, key));
    const given = Buffer.from(seal ?? "");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  }
  return decodePresence(body);
}

function sealOf(body: Uint8Array, key: Uint8Array): string {
  return createHmac("sha256", key).update(presencePath).update("\0").update(body).digest("hex");
}
