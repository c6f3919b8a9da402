import { setTimeout as delay } from "node:timers/promises";
import { Permission_Type } from "@etcd-edge/proto";
import type { Random } from "@etcd-edge/testkit";
import type { Access, RightRecord } from "../history/rights.ts";
import { toRange } from "./convert.ts";
import { auth, EtcdClient, failureText } from "./etcd-client.ts";
import type { OpenRight } from "./recorder.ts";
import type { RoundContext } from "./round-context.ts";

const retryMs = 200;
/** How many of the rights there are a user has at the beginning, of a hundred. */
const givenPercent = 60;
/** What etcd says of a right that was given or taken by a call whose answer was lost. */
const isDone = (error: unknown): boolean => /not granted|already|not found/.test(failureText(error));

/** The rights of a round while its traffic runs. */
interface RoundRights {
  /** Gives and takes one now and then, until the traffic is over. */
  run(): Promise<void>;
  /** Roles of the round are gone. Never rejects. */
  forget(): Promise<void>;
}

/** What a right is about: a group of keys. Each has a role of its own. */
interface Kind {
  readonly role: string;
  readonly access: Access;
  readonly span: RightRecord["span"];
}

/**
 * Makes a role for reading and one for writing each group of keys and gives the limited users some of them.
 * @returns nothing where there are no such users
 */
export async function giveRights(context: RoundContext, random: Random): Promise<RoundRights | undefined> {
  const { recorder, space, options, traffic } = context;
  const { limited } = options;
  if (limited === undefined) return undefined;
  recorder.rightsPromised = { staleMs: limited.staleMs, watchEndsMs: limited.watchEndsMs };
  // Past all relays: what is recorded is what etcd has done.
  const etcd = new EtcdClient(options.reference);
  const kinds = space.groups.flatMap((_, index) =>
    (["read", "write"] as const).map(
      (access): Kind => ({ role: `${space.prefix}${access} ${index}`, access, span: space.groupSpan(index) }),
    ),
  );
  for (const { role, access, span } of kinds) {
    const permType = access === "read" ? Permission_Type.READ : Permission_Type.WRITE;
    await insist(() => etcd.ask(auth.roleAdd, { name: role }));
    await insist(() =>
      etcd.ask(auth.roleGrantPermission, { name: role, perm: { permType, ...toRange(span) } }),
    );
  }
  const held = new Map<string, OpenRight>();
  const nameOf = (user: string, { role }: Kind): string => `${user} ${role}`;
  const give = async (user: string, kind: Kind): Promise<void> => {
    const { access, span, role } = kind;
    const right: OpenRight = { user, access, span, grantAskedAt: recorder.now() };
    recorder.rights.push(right);
    held.set(nameOf(user, kind), right);
    await insist(() => etcd.ask(auth.userGrantRole, { user, role }));
    right.grantAnsweredAt = recorder.now();
  };
  const take = async (user: string, kind: Kind, right: OpenRight): Promise<void> => {
    right.revokeAskedAt = recorder.now();
    held.delete(nameOf(user, kind));
    await insist(() => etcd.ask(auth.userRevokeRole, { name: user, role: kind.role }));
    right.revokeAnsweredAt = recorder.now();
  };
  for (const { name } of limited.users)
    for (const kind of kinds) if (random.chance(givenPercent)) await give(name, kind);
  return {
    run: async () => {
      while (!traffic.aborted) {
        await delay(random.between(300, 1_500), undefined, { signal: traffic }).catch(() => {});
        if (traffic.aborted) return;
        const { name } = random.pick(limited.users);
        const kind = random.pick(kinds);
        const right = held.get(nameOf(name, kind));
        if (right === undefined) await give(name, kind);
        else await take(name, kind, right);
      }
    },
    forget: async () => {
      for (const { role } of kinds) await etcd.ask(auth.roleDelete, { role }).catch(() => {}); // who cares then
      etcd[Symbol.dispose]();
    },
  };
}

/** Until it is done: members may be down for a while. */
async function insist(call: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await call();
      return;
    } catch (error) {
      if (isDone(error)) return;
      await delay(retryMs);
    }
  }
}
