import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findMissingPackages, type LockedPackages } from "./complete-lock.ts";

const root = join(import.meta.dirname, "..", "..", "..");

describe("findMissingPackages", () => {
  it("adds what a mirror does not carry, with the platform that its name tells", () => {
    const packages: LockedPackages = {
      "": {},
      "node_modules/tool": {
        optionalDependencies: {
          "@tool/darwin-arm64": "1.0.0",
          "@tool/linux-x64-musl": "1.0.0",
          "@tool/linux-x64": "1.0.0",
        },
      },
      "node_modules/@tool/linux-x64": { version: "1.0.0" },
    };
    expect(findMissingPackages(packages)).toEqual({
      "node_modules/@tool/darwin-arm64": { version: "1.0.0", optional: true, os: ["darwin"], cpu: ["arm64"] },
      "node_modules/@tool/linux-x64-musl": {
        version: "1.0.0",
        optional: true,
        os: ["linux"],
        cpu: ["x64"],
        libc: ["musl"],
      },
    });
  });

  it("refuses what it would have to guess", () => {
    const packageWith = (name: string, version: string): LockedPackages => ({
      "node_modules/tool": { optionalDependencies: { [name]: version } },
    });
    expect(() => findMissingPackages(packageWith("fsevents", "2.0.0"))).toThrow(
      "cannot tell the platform of fsevents",
    );
    expect(() => findMissingPackages(packageWith("t-linux-x64", "^2.0.0"))).toThrow("locked to a range");
  });
});

describe("package-lock.json", () => {
  const text = readFileSync(join(root, "package-lock.json"), "utf8");
  const { packages } = JSON.parse(text) as { packages: LockedPackages };

  it("is complete for every platform (npm run lock mends it), so that npm ci takes it", () => {
    expect(findMissingPackages(packages)).toEqual({});
  });

  it("names no registry", () => {
    expect(text).not.toMatch(/"resolved": "http/);
  });
});
