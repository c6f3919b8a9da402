import { describe, expect, it } from "vitest";
import { chooseCredential } from "./credential.ts";

describe("rule 36: one credential, chosen as etcd chooses", () => {
  it.each([
    ["none", ["a", "1"], undefined, ["a", "1"]],
    ["a token", ["a", "1", "token", "t"], "t", ["a", "1", "token", "t"]],
    ["the first of two tokens", ["token", "t1", "token", "t2"], "t1", ["token", "t1"]],
    ["an authorization, as a token", ["authorization", "t"], "t", ["token", "t"]],
    ["a bearer's, without the word", ["authorization", "Bearer t"], "t", ["token", "t"]],
    ["a token with the word", ["token", "Bearer t"], "t", ["token", "t"]],
    ["a token before any authorization", ["authorization", "Bearer a", "token", "t"], "t", ["token", "t"]],
    ["the first authorization", ["authorization", "a", "authorization", "b"], "a", ["token", "a"]],
    ["an empty token, which etcd refuses", ["token", "", "authorization", "a"], "", ["token", ""]],
    [
      "the word in lower case, which etcd does not cut",
      ["authorization", "bearer t"],
      "bearer t",
      ["token", "bearer t"],
    ],
  ])("%s", (_, metadata, credential, forwarded) => {
    expect(chooseCredential(metadata)).toEqual({ metadata: forwarded, credential });
  });

  it("leaves the list as it is where nothing is to be done", () => {
    const metadata = ["a", "1", "token", "t"];
    expect(chooseCredential(metadata).metadata).toBe(metadata);
  });
});
