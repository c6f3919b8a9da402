import { UnsecuredJWT } from "jose";
import { expect, it } from "vitest";
import { TokenNames } from "./token-names.ts";

it("knows the user of a token that it saw being given, and of one that says so itself", () => {
  const names = new TokenNames();
  names.note("abc.1", "ann");
  expect(names.nameOf("abc.1")).toBe("ann");
  expect(names.nameOf("xyz.2")).toBeUndefined();
  expect(names.nameOf(new UnsecuredJWT({ username: "bob" }).encode())).toBe("bob");
});

it("forgets the tokens seen longest ago", () => {
  const names = new TokenNames();
  for (let i = 0; i <= 10_000; i++) names.note(`t.${i}`, "ann");
  expect([names.nameOf("t.0"), names.nameOf("t.1")]).toEqual([undefined, "ann"]);
});
