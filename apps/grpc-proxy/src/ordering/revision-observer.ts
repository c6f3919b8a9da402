import { readHeaderRevision } from "@etcd-edge/proto";
import type { ClientState } from "../relay/client-state.ts";
import type { RevisionFloors } from "./revision-floors.ts";

/** Remembers what a stream of answers shows its client. */
export function createRevisionObserver(
  floors: RevisionFloors,
  client: ClientState,
  token: string | undefined,
): (answer: Uint8Array) => void {
  return (answer) => {
    try {
      floors.raise(client, token, readHeaderRevision(answer));
    } catch {
      // Bytes that are no message of etcd's show no revision; they are passed on as they are.
    }
  };
}
