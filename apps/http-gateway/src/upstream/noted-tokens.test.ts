import { TokenNames } from "@etcd-edge/identity";
import {
  AuthenticateRequestSchema,
  AuthenticateResponseSchema,
  create,
  type RpcPath,
  rpcOf,
  toBinary,
} from "@etcd-edge/proto";
import { expect, it } from "vitest";
import { ClientPresence } from "../http/client-presence.ts";
import { createNotedTokens } from "./noted-tokens.ts";
import type { Upstream } from "./upstream.ts";

const answer = {
  message: toBinary(AuthenticateResponseSchema, create(AuthenticateResponseSchema, { token: "t.1" })),
  headers: [],
};
const request = toBinary(
  AuthenticateRequestSchema,
  create(AuthenticateRequestSchema, { name: "ann", password: "pw" }),
);

/** What is known of `t.1` after a call that etcd answers like that. */
async function nameAfter(path: RpcPath, inner: Upstream["unary"], asked: Uint8Array = request) {
  const names = new TokenNames();
  const upstream = createNotedTokens(
    { unary: inner, open: () => Promise.reject(new Error("no streams")) },
    names,
  );
  const call = { rpc: rpcOf(path), metadata: [], timeoutMs: undefined, presence: new ClientPresence() };
  const given = await upstream.unary(call, asked).catch((error: Error) => error.message);
  return { given, name: names.nameOf("t.1") };
}

it("rule 18: whose a token is is known from etcd's answer to who logged in, which goes on as it is", async () => {
  expect(await nameAfter("/etcdserverpb.Auth/Authenticate", async () => answer)).toEqual({
    given: answer,
    name: "ann",
  });
});

it.each([
  ["other calls", "/etcdserverpb.KV/Range", async () => answer, request],
  [
    "a login that failed",
    "/etcdserverpb.Auth/Authenticate",
    () => Promise.reject(new Error("refused")),
    request,
  ],
  ["what is no request", "/etcdserverpb.Auth/Authenticate", async () => answer, Uint8Array.of(0xff)],
] as const)("nothing is known from %s", async (_what, path, inner, asked) => {
  expect((await nameAfter(path, inner, asked)).name).toBeUndefined();
});
