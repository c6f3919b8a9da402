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
  read(meant: Meaning, { bytes }: JsonDocument, make: () => Request): Request {
    const key = keyOf(meant, bytes);
    if (key === undefined) return make();
    const known = this.#requests.get(key);
    if (known !== undefined) return known;
    const request = make();
    this.#requests.set(key, request);
    return request;
  }

  /** What a whole body comes to that is exactly the text of a document that was read before. */
  find(meant: Meaning, body: Buffer): Request | undefined {
    const key = keyOf(meant, body);
    return key === undefined ? undefined : this.#requests.get(key);
  }
}

/** What else a text's meaning hangs on. */
interface Meaning {
  readonly rpc: Rpc;
  readonly profile: JsonProfile;
  readonly style: CallStyle;
}

/** Nothing for what is not kept. */
function keyOf({ rpc, profile, style }: Meaning, bytes: Buffer): string | undefined {
  if (rpc.path !== "/etcdserverpb.KV/Range" || bytes.length > maxTextBytes) return undefined;
  return `${profile.generation}${profile.errorShape}${style.bytes}${bytes.toString("latin1")}`;
}
