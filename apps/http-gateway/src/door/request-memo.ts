import type { Rpc } from "@etcd-edge/proto";
import { LRUCache } from "lru-cache";
import type { CallStyle } from "../http/call-style.ts";
import type { JsonDocument } from "../json/json-node.ts";
import type { JsonProfile } from "../profile/json-profile.ts";
import type { Request } from "./request-source.ts";

const maxEntries = 1_000;
/** Longer ones are rarely asked twice. */
const maxTextBytes = 256;

/**
 * What small reads came to, by their text: those who ask for the same key, or read in a loop, send the very same bytes. What a text
 * means hangs on nothing but the profile and the style it is read in. Only ranges are kept: other requests may hold secrets,
 * or are not repeated.
 */
export class RequestMemo {
  readonly #requests = new LRUCache<string, Request>({ max: maxEntries });

  /** @param make reads the document @throws what `make` throws, which is not kept */
  read(
    { rpc, profile, style }: { readonly rpc: Rpc; readonly profile: JsonProfile; readonly style: CallStyle },
    { bytes }: JsonDocument,
    make: () => Request,
  ): Request {
    if (rpc.path !== "/etcdserverpb.KV/Range" || bytes.length > maxTextBytes) return make();
    const key = `${profile.generation}${profile.errorShape}${style.bytes}${bytes.toString("latin1")}`;
    const known = this.#requests.get(key);
    if (known !== undefined) return known;
    const request = make();
    this.#requests.set(key, request);
    return request;
  }
}
