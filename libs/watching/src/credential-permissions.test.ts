import { TokenNames } from "@etcd-edge/identity";
import { expect, it } from "vitest";
import { createPermissionSource } from "./credential-permissions.ts";
import { findNoTransform } from "./message-transform.ts";

const range = { t: "point", key: Uint8Array.of(1) } as const;

/** What becomes of a token that etcd no longer takes. */
async function askByName(knows: { name?: string; mayRead?: boolean; isAuthOff: boolean }) {
  const names = new TokenNames();
  if (knows.name !== undefined) names.note("t.1", knows.name);
  const source = createPermissionSource({
    ...{ credential: "t.1", names, findTransform: findNoTransform },
    hub: { probe: () => Promise.reject(new Error("nobody asks with the token")) },
    service: { mayRead: () => Promise.resolve(knows.mayRead) },
    isAuthOff: () => Promise.resolve(knows.isAuthOff),
  });
  return await source.askByName(range);
}

it.each([
  ["its user may read that", { name: "ann", mayRead: true, isAuthOff: false }, true],
  ["its user may not", { name: "ann", mayRead: false, isAuthOff: false }, false],
  ["nobody knows whose it is", { mayRead: true, isAuthOff: false }, undefined],
  ["etcd does not say", { name: "ann", isAuthOff: false }, undefined],
])("rule 18: a token that is used up goes by its user: %s", async (_what, knows, answer) => {
  expect(await askByName(knows)).toBe(answer);
});

it.each([
  ["whosever it is", {}],
  ["whose user is gone", { name: "ann", mayRead: false }],
])("rule 18: auth that is switched off takes nothing from a token, %s", async (_what, knows) => {
  expect(await askByName({ ...knows, isAuthOff: true })).toBe(true);
});
