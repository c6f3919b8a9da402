import type { Rpc } from "@etcd-edge/proto";
import { createForgetCourse } from "../lease/forget-course.ts";
import { createOrderedCourse } from "../ordering/ordered-course.ts";
import { createRangeStreamCourse } from "../range-stream/range-stream-course.ts";
import type { ClientsCall } from "../relay/client-state.ts";
import type { Credentials } from "../relay/credential.ts";
import type { RelayContext } from "../relay/relay.ts";
import { rpcTable } from "../rpc-table.ts";
import type { CallCourse } from "./call-course.ts";
import { createLeaderCourse, createPinnedCourse } from "./member-course.ts";
import { createTokenCourse } from "./token-course.ts";

/** The course that the table of RPCs gives a call; nothing for most. */
export function findCourse(
  context: Pick<RelayContext, "balancer" | "clock" | "floors" | "leaseBook" | "names">,
  rpc: Rpc,
  call: ClientsCall,
  { credential: token, metadata }: Credentials,
): CallCourse | undefined {
  const { balancer, clock, floors, leaseBook, names } = context;
  const { member, lease, ordered, emulated, gives } = rpcTable[rpc.path];
  const client = call.client.data;
  if (member === "pinned") return createPinnedCourse(balancer, client);
  if (member === "leader") return createLeaderCourse(balancer);
  if (gives === "token") return createTokenCourse(names);
  if (lease !== undefined && lease !== "keepAlive") return createForgetCourse(leaseBook, lease);
  const inOrder =
    ordered === true && floors !== undefined
      ? createOrderedCourse({ rpc, balancer, clock, floors, client, token })
      : undefined;
  return emulated === "pages" ? createRangeStreamCourse(call, metadata, inOrder) : inOrder;
}
