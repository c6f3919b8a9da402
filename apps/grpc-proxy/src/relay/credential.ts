import type { RawMetadata } from "@etcd-edge/transport";

/** What a call carries upstream: its metadata with one credential at most, and that credential. */
export interface Credentials {
  readonly metadata: RawMetadata;
  /** What etcd decides by; nothing for a client that shows none. */
  readonly credential: string | undefined;
}

const bearer = "Bearer ";

/**
 * Chooses the credential of a call as etcd chooses it (rule 36): the first `token`, else the first `authorization`. It is
 * forwarded as `token`, alone, without the `Bearer ` that newer releases of etcd cut off and older ones choke on. Whatever
 * is decided by the credential is thus decided by the one that etcd reads.
 */
export function chooseCredential(metadata: RawMetadata): Credentials {
  const known = chosen.get(metadata);
  if (known !== undefined) return known;
  const choice = choose(metadata);
  chosen.set(metadata, choice);
  return choice;
}

/** Equal header blocks share one list of metadata: most calls of a client find their choice here. */
const chosen = new WeakMap<RawMetadata, Credentials>();

function choose(metadata: RawMetadata): Credentials {
  let token: string | undefined;
  let authorization: string | undefined;
  let count = 0;
  const others: string[] = [];
  for (let i = 0; i < metadata.length; i += 2) {
    const name = metadata[i] ?? "";
    const value = metadata[i + 1] ?? "";
    if (name === "token") token ??= value;
    else if (name === "authorization") authorization ??= value;
    else {
      others.push(name, value);
      continue;
    }
    count++;
  }
  if (count === 0) return { metadata, credential: undefined };
  const value = token ?? authorization ?? "";
  const credential = value.startsWith(bearer) ? value.slice(bearer.length) : value;
  const isAsItIs = count === 1 && token === credential;
  return { metadata: isAsItIs ? metadata : [...others, "token", credential], credential };
}
