import { describe, expect, it } from "vitest";
import { findViolations, layerOfTags, type WorkspacePackage } from "./layers.ts";

const one = (
  name: string,
  layer: WorkspacePackage["layer"],
  dependencies: string[] = [],
  dev: string[] = [],
): WorkspacePackage => ({
  name,
  layer,
  dependencies,
  devDependencies: dev,
});

describe("findViolations", () => {
  const house = [
    one("door", "app", ["fabric", "proto"], ["kit"]),
    one("fabric", "service", ["proto"]),
    one("proto", "wire"),
    one("kit", "test"),
  ];

  it("finds nothing wrong in a house in order", () => {
    expect(findViolations(house)).toEqual([]);
  });

  it.each([
    ["an app importing an app", one("other", "app", ["door"]), "other (app) must not import door (app)"],
    [
      "a lib importing upwards",
      one("low", "wire", ["fabric"]),
      "low (wire) must not import fabric (service)",
    ],
    [
      "a core importing a service",
      one("heart", "core", ["fabric"]),
      "heart (core) must not import fabric (service)",
    ],
    [
      "code importing the testkit",
      one("bad", "service", ["kit"]),
      "bad (service) must not import kit (test)",
    ],
    ["a tool importing an app", one("hammer", "tool", ["door"]), "hammer (tool) must not import door (app)"],
    [
      "a package without a layer",
      one("stray", undefined),
      "stray has no nx tag layer:<app|service|runtime|core|wire|test|tool>",
    ],
  ])("finds %s", (_what, added, sentence) => {
    expect(findViolations([...house, added])).toEqual([sentence]);
  });
});

describe("services that use services", () => {
  it("may, but not in a circle", () => {
    const watching = one("watching", "service", ["endpoints"]);
    expect(findViolations([watching, one("endpoints", "service")])).toEqual([]);
    expect(
      findViolations([
        watching,
        one("endpoints", "service", ["names"]),
        one("names", "service", ["watching"]),
      ]),
    ).toEqual([
      "watching imports itself by way of others",
      "endpoints imports itself by way of others",
      "names imports itself by way of others",
    ]);
  });
});

describe("layerOfTags", () => {
  it("reads the layer tag and refuses unknown ones", () => {
    expect(layerOfTags(["scope:x", "layer:core"])).toBe("core");
    expect(layerOfTags(["layer:attic"])).toBeUndefined();
    expect(layerOfTags([])).toBeUndefined();
  });
});
