import { etcdErrors, Permission_Type } from "@etcd-edge/proto";
import { expect } from "vitest";
import { bytes, type Context } from "../../src/context.ts";
import type { CallOptions } from "../../src/etcd-client.ts";
import { auth, cluster, kv, lease } from "../../src/methods.ts";
import type { Behave } from "../behave.ts";
import { shorten, WatchSession } from "../watch/watch-session.ts";
import { expectError, expectWholeHeader } from "./expectations.ts";

/** Users, roles, permissions, tokens. Each test leaves the cluster without auth. */
export function describeAuthorizing(behave: Behave): void {
  behave("users and roles are made, listed, changed and removed", async ({ etcd }) => {
    expectWholeHeader(await etcd.ask(auth.roleAdd, { name: "r" }));
    await expectError(etcd.refusal(auth.roleAdd, { name: "r" }), etcdErrors.roleAlreadyExists);
    await expectError(etcd.refusal(auth.roleAdd, { name: "" }), etcdErrors.roleEmpty);
    expectWholeHeader(await etcd.ask(auth.userAdd, { name: "u", password: "p" }));
    await expectError(etcd.refusal(auth.userAdd, { name: "u", password: "p" }), etcdErrors.userAlreadyExists);
    await expectError(etcd.refusal(auth.userAdd, { name: "", password: "p" }), etcdErrors.userEmpty);
    await etcd.ask(auth.userGrantRole, { user: "u", role: "r" });
    await expectError(
      etcd.refusal(auth.userGrantRole, { user: "nobody", role: "r" }),
      etcdErrors.userNotFound,
    );
    await expectError(etcd.refusal(auth.userGrantRole, { user: "u", role: "none" }), etcdErrors.roleNotFound);
    expect(await etcd.ask(auth.userGet, { name: "u" })).toMatchObject({ roles: ["r"] });
    expect((await etcd.ask(auth.userList, {})).users).toContain("u");
    expect((await etcd.ask(auth.roleList, {})).roles).toContain("r");
    const perm = { permType: Permission_Type.READWRITE, key: bytes("a"), rangeEnd: bytes("b") };
    await etcd.ask(auth.roleGrantPermission, { name: "r", perm });
    expect((await etcd.ask(auth.roleGet, { role: "r" })).perm).toMatchObject([perm]);
    await etcd.ask(auth.roleRevokePermission, { role: "r", key: perm.key, rangeEnd: perm.rangeEnd });
    await expectError(
      etcd.refusal(auth.roleRevokePermission, { role: "r", key: perm.key }),
      etcdErrors.permissionNotGranted,
    );
    await etcd.ask(auth.userChangePassword, { name: "u", password: "q" });
    await etcd.ask(auth.userRevokeRole, { name: "u", role: "r" });
    await expectError(etcd.refusal(auth.userRevokeRole, { name: "u", role: "r" }), etcdErrors.roleNotGranted);
    await etcd.ask(auth.userDelete, { name: "u" });
    await etcd.ask(auth.roleDelete, { role: "r" });
    await expectError(etcd.refusal(auth.userDelete, { name: "u" }), etcdErrors.userNotFound);
    await expectError(etcd.refusal(auth.roleDelete, { role: "r" }), etcdErrors.roleNotFound);
  });

  behave("auth cannot be had without root, and without auth there are no tokens", async ({ etcd }) => {
    await expectError(etcd.refusal(auth.authEnable, {}), etcdErrors.rootUserNotExist);
    await expectError(
      etcd.refusal(auth.authenticate, { name: "u", password: "p" }),
      etcdErrors.authNotEnabled,
    );
  });

  behave("auth status is told from 3.5 on", async (context) => {
    if (context.has({ 3.5: 0 })) {
      const status = await context.etcd.ask(auth.authStatus, {});
      expectWholeHeader(status);
      expect(status.enabled).toBe(false);
    } else {
      expect(await context.etcd.refusal(auth.authStatus, {})).toEqual({
        code: 12,
        message: "unknown method AuthStatus for service etcdserverpb.Auth",
      });
    }
  });

  behave("every call is judged by its own token, under either name", async (context) => {
    await withAuth(context, async ({ ann, root }) => {
      const { etcd } = context;
      const allowed = { key: context.key("open/a") };
      const closed = { key: context.key("closed") };
      await expectError(etcd.refusal(kv.range, allowed), etcdErrors.userEmpty);
      await expectError(etcd.refusal(kv.put, allowed), etcdErrors.userEmpty);
      await expectError(
        etcd.refusal(kv.range, allowed, { metadata: { token: "nonsense" } }),
        etcdErrors.invalidAuthToken,
      );
      await etcd.ask(kv.put, { ...closed, value: bytes("secret") }, root);
      expect((await etcd.ask(kv.range, closed, root)).count).toBe(1n);
      for (const serializable of [false, true]) {
        await expectError(etcd.refusal(kv.range, { ...closed, serializable }), etcdErrors.userEmpty);
        await expectError(
          etcd.refusal(kv.range, { ...closed, serializable }, ann),
          etcdErrors.permissionDenied,
        );
      }
      await etcd.ask(kv.put, { ...allowed, value: bytes("1") }, ann);
      const { token = "" } = ann.metadata ?? {};
      const other = { metadata: { authorization: token } };
      expect((await etcd.ask(kv.range, allowed, other)).kvs[0]?.value).toEqual(bytes("1"));
      await expectError(etcd.refusal(auth.userList, {}, ann), etcdErrors.permissionDenied);
    });
  });

  behave("permission is asked for on both branches, and in nested transactions", async (context) => {
    await withAuth(context, async ({ ann }) => {
      const closed = { request: { case: "requestRange" as const, value: { key: context.key("closed") } } };
      const nested = { request: { case: "requestTxn" as const, value: { failure: [closed] } } };
      // 3.4 does not look inside nested ones.
      const inner = context.has({ 3.5: 0 }) ? [{ success: [nested] }] : [];
      for (const request of [{ success: [closed] }, { failure: [closed] }, ...inner]) {
        await expectError(context.etcd.refusal(kv.txn, request, ann), etcdErrors.permissionDenied);
      }
    });
  });

  behave("a watch that is not allowed is refused, and one that is goes on beside it", async (context) => {
    await withAuth(context, async ({ ann, root }) => {
      const denied = { created: true, canceled: true, watchId: -1n };
      {
        using anonymous = new WatchSession(context);
        anonymous.create({ key: context.key("open/a") });
        const answer = await anonymous.next();
        expect(answer).toMatchObject(denied);
      }
      using session = new WatchSession(context, ann);
      session.create({ key: context.key("closed") });
      const refused = await session.next();
      expect(refused).toMatchObject(denied);
      if (context.has({ 3.5: 3 })) expect(refused.cancelReason).toContain("etcdserver: permission denied");
      const { watchId } = await session.created({ key: context.key("open/a") });
      expect(watchId).toBe(0n);
      using rooted = new WatchSession(context, root);
      await rooted.created({ key: context.key("open/a") });
      await context.etcd.ask(kv.put, { key: context.key("open/a"), value: bytes("1") }, root);
      for (const each of [session, rooted]) {
        expect(shorten(context, await each.events(1))).toEqual(["PUT open/a=1"]);
      }
    });
  });

  behave("leases are kept and revoked by those who may write their keys", async (context) => {
    await withAuth(context, async ({ ann, root }) => {
      const { etcd } = context;
      const { ID } = await etcd.ask(lease.leaseGrant, { TTL: 60n }, root);
      await etcd.ask(kv.put, { key: context.key("closed"), lease: ID }, root);
      await expectError(etcd.refusal(lease.leaseRevoke, { ID }, ann), etcdErrors.permissionDenied);
      using kept = etcd.stream(lease.leaseKeepAlive, root);
      kept.send({ ID });
      expect((await kept.next()).TTL).toBeGreaterThan(0n);
      if (context.has({ 3.4: 42, 3.5: 28, 3.6: 9 })) {
        for (const [options, error] of [
          [{}, etcdErrors.userEmpty],
          [ann, etcdErrors.permissionDenied],
        ] as const) {
          using stream = etcd.stream(lease.leaseKeepAlive, options);
          stream.send({ ID });
          expect(await stream.ended).toEqual({ code: error.code, message: error.message });
        }
      }
      await etcd.ask(lease.leaseRevoke, { ID }, root);
    });
  });

  behave("a password that is wrong gives no token", async (context) => {
    await withAuth(context, async ({ root }) => {
      const wrong = { name: "ann", password: "wrong" };
      await expectError(context.etcd.refusal(auth.authenticate, wrong), etcdErrors.authFailed);
      expect((await context.etcd.ask(cluster.memberList, {}, root)).members.length).toBeGreaterThan(0);
    });
  });
}

interface Users {
  readonly root: CallOptions;
  /** May read and write what lies under `open/`. */
  readonly ann: CallOptions;
}

/** Switches auth on with two users, and off again whatever happens. */
async function withAuth(context: Context, check: (users: Users) => Promise<void>): Promise<void> {
  const { etcd } = context;
  const key = context.keyInEtcd("open/");
  const rangeEnd = context.keyInEtcd("open0");
  await etcd.ask(auth.roleAdd, { name: "root" });
  await etcd.ask(auth.roleAdd, { name: "open" });
  const perm = { permType: Permission_Type.READWRITE, key, rangeEnd };
  await etcd.ask(auth.roleGrantPermission, { name: "open", perm });
  await etcd.ask(auth.userAdd, { name: "root", password: "pw" });
  await etcd.ask(auth.userAdd, { name: "ann", password: "pw" });
  await etcd.ask(auth.userGrantRole, { user: "root", role: "root" });
  await etcd.ask(auth.userGrantRole, { user: "ann", role: "open" });
  await etcd.ask(auth.authEnable, {});
  const login = async (name: string): Promise<CallOptions> => {
    const { token } = await etcd.ask(auth.authenticate, { name, password: "pw" });
    return { metadata: { token } };
  };
  try {
    await check({ root: await login("root"), ann: await login("ann") });
  } finally {
    await etcd.ask(auth.authDisable, {}, await login("root"));
    for (const name of ["root", "ann"]) await etcd.ask(auth.userDelete, { name });
    for (const role of ["root", "open"]) await etcd.ask(auth.roleDelete, { role });
  }
}
