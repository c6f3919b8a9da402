import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { CertificateUsers } from "./certificate-users.ts";
import { readJwt } from "./jwt-claims.ts";
import { JwtMint, readJwtKey } from "./jwt-mint.ts";

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const minuteMs = 60_000;

function createMint() {
  const world = { now: Date.now(), revision: 7n as bigint | undefined, asked: 0 };
  const mint = new JwtMint({
    key: privateKey,
    method: "ES256",
    authRevision: () => {
      world.asked++;
      return Promise.resolve(world.revision);
    },
    now: () => world.now,
  });
  return { mint, world };
}

describe("rule 38: a token made for a user of a certificate", () => {
  it("says what etcd reads of it, and is signed with etcd's key", async () => {
    const { mint } = createMint();
    const { payload, protectedHeader } = await jwtVerify((await mint.tokenFor("ann")) ?? "", publicKey);
    expect(protectedHeader.alg).toBe("ES256");
    expect(payload).toEqual({ username: "ann", revision: 7, exp: expect.any(Number) });
  });

  it("costs etcd one question for all users, until users or roles change", async () => {
    const { mint, world } = createMint();
    await Promise.all(["ann", "bob", "ann"].map((user) => mint.tokenFor(user)));
    expect(world.asked).toBe(1);
    world.revision = 8n;
    expect(readJwt((await mint.tokenFor("ann")) ?? "")?.revision).toBe(7n);
    mint.forget();
    expect(readJwt((await mint.tokenFor("ann")) ?? "")?.revision).toBe(8n);
    expect(world.asked).toBe(2);
  });

  it("is made anew when half of its life is over", async () => {
    const { mint, world } = createMint();
    const first = await mint.tokenFor("ann");
    world.now += 2 * minuteMs;
    expect(await mint.tokenFor("ann")).toBe(first);
    world.now += minuteMs;
    const second = await mint.tokenFor("ann");
    expect(second).not.toBe(first);
    expect(readJwt(second ?? "")?.expiresAtMs).toBeGreaterThan(world.now + 4 * minuteMs);
  });

  it("is none while auth is off, and one once it is on", async () => {
    const { mint, world } = createMint();
    world.revision = undefined;
    expect(await mint.tokenFor("ann")).toBeUndefined();
    world.revision = 1n;
    expect(await mint.tokenFor("ann")).toBeDefined();
  });
});

describe("users of certificates", () => {
  it("have a credential that stays, and no client can show", async () => {
    const { mint, world } = createMint();
    const users = new CertificateUsers(mint);
    const ann = CertificateUsers.credentialOf("ann");
    expect([CertificateUsers.isOne(ann), CertificateUsers.isOne("token.7")]).toEqual([true, false]);
    expect(ann.charCodeAt(0)).toBe(0);
    expect(users.resolve(ann)).toBeUndefined();
    await users.ready(ann);
    const first = users.resolve(ann);
    expect(readJwt(first ?? "")?.username).toBe("ann");
    world.revision = 8n;
    await users.renew(ann);
    expect(readJwt(users.resolve(ann) ?? "")?.revision).toBe(8n);
    expect(users.resolve("token.7")).toBe("token.7");
    expect(users.resolve(undefined)).toBeUndefined();
  });
});

it("a key that cannot be read is an error that names the flag", async () => {
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-key-"));
  try {
    await writeFile(join(folder, "key"), "no key");
    expect(() => readJwtKey(join(folder, "key"), "RS256")).toThrow(
      "--auth-jwt-key: cannot read a key for RS256",
    );
    expect(() => readJwtKey(join(folder, "missing"), "ES256")).toThrow("--auth-jwt-key");
    expect(readJwtKey(join(folder, "key"), "HS256").type).toBe("secret");
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("a simple token has no claims", () => {
  expect(readJwt("wKjPtKoZtTRkpxzk.12")).toBeUndefined();
});
