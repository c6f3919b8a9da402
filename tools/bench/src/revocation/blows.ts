import type { Administrator } from "./administrator.ts";

/** Something that is dealt to one user, or to all. */
export interface Blow {
  readonly name: string;
  /** Whether a watch must not outlive it; else it may, and what it does is told. */
  readonly mustEnd: boolean;
  /** Whether there are users whom it does not concern. */
  readonly hasOthers: boolean;
  prepare(administrator: Administrator): Promise<Prepared>;
}

interface Prepared {
  /** Whose watch it is about; nobody for who shows no token. */
  readonly victim: string | undefined;
  act(): Promise<void>;
  /** As it was, for those who come after. */
  restore?(): Promise<void>;
}

let number = 0;

/** A user and a role of its own, that nobody has had before. */
async function newReader(administrator: Administrator): Promise<{ name: string; role: string }> {
  const [name, role] = [`victim-${++number}`, `reader-${number}`];
  await administrator.addUser(name);
  await administrator.letRead(role, [name]);
  return { name, role };
}

function ofOne(
  name: string,
  mustEnd: boolean,
  act: (administrator: Administrator, victim: { name: string; role: string }) => Promise<void>,
): Blow {
  return {
    ...{ name, mustEnd, hasOthers: true },
    prepare: async (administrator) => {
      const victim = await newReader(administrator);
      return { victim: victim.name, act: () => act(administrator, victim) };
    },
  };
}

export const blows: readonly Blow[] = [
  ofOne("permission revoked", true, (administrator, { role }) => administrator.revokePermission(role)),
  ofOne("role taken", true, (administrator, { name, role }) => administrator.takeRole(name, role)),
  ofOne("user deleted", true, (administrator, { name }) => administrator.deleteUser(name)),
  // What the user may read is as before.
  ofOne("password changed", false, (administrator, { name }) => administrator.changePassword(name)),
  {
    ...{ name: "auth disabled", mustEnd: false, hasOthers: false },
    prepare: async (administrator) => ({
      victim: (await newReader(administrator)).name,
      act: () => administrator.disableAuth(),
      restore: () => administrator.enableAuth(),
    }),
  },
  {
    ...{ name: "auth enabled", mustEnd: true, hasOthers: false },
    prepare: async (administrator) => {
      await administrator.disableAuth();
      return { victim: undefined, act: () => administrator.enableAuth() };
    },
  },
];
