import { CertificateUsers } from "@etcd-edge/identity";
import type { Rpc } from "@etcd-edge/proto";
import { createForgetCourse } from "../lease/forget-course.ts";
import { createOrderedCourse } from "../ordering/ordered-course.ts";
import { createRangeStreamCourse } from "../range-stream/range-stream-course.ts";
import { createCompactionCourse } from "../reads/compaction-course.ts";
import type { ClientsCall } from "../relay/client-state.ts";
import type { Credentials } from "../relay/credential.ts";
import type { RelayContext } from "../relay/relay.ts";
import { rpcTable } from "../rpc-table.ts";
import type { CallCourse } from "./call-course.ts";
import { createLeaderCourse, createPinnedCourse } from "./member-course.ts";
import { createTokenCourse } from "./token-course.ts";

/** The course that the table of RPCs gives a call; nothing for most. */
export function findCourse(
  context: Pick<RelayContext, "balancer" | "clock" | "floors" | "leaseBook" | "names" | "reads">,
  rpc: Rpc,
  call: ClientsCall,
  { credential: token, metadata }: Credentials,
): CallCourse | undefined {
  const { balancer, clock, floors, leaseBook, names, reads } = context;
  const { member, lease, ordered, emulated, gives, compacts } = rpcTable[rpc.path];
  const client = call.client.data;
  if (member === "pinned") return createPinnedCourse(balancer, client);
  if (member === "leader") return createLeaderCourse(balancer);
  if (gives === "token") return createTokenCourse(names);
  if (lease !== undefined && lease !== "keepAlive") return createForgetCourse(leaseBook, lease);
  if (compacts === true && floors === undefined && reads !== undefined)
    return createCompactionCourse((revision) => reads.cache.floor.note(revision));
  const inOrder =
    ordered === true && floors !== undefined
      ? createOrderedCourse({ rpc, balancer, clock, floors, client, token })
      : undefined;
  if (emulated !== "pages") return inOrder;
  const share =
    reads?.hasClientsKeys === true && !CertificateUsers.isOne(token)
      ? (request: Uint8Array, signal: AbortSignal) => reads.page(request, call, token, signal)
      : undefined;
  return createRangeStreamCourse(call, metadata, inOrder, share);
}
