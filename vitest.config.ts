import { defineConfig } from "vitest/config";

// Unit tests stand beside the source; integration tests (real sockets, real etcd) under test/.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{apps,libs,tools}/*/src/**/*.test.ts"],
          setupFiles: ["libs/testkit/src/leak-guard.ts"],
          testTimeout: 60_000,
          expect: { poll: { timeout: 30_000, interval: 20 } },
        },
      },
      {
        test: {
          name: "integration",
          include: ["{apps,libs,tools}/*/test/**/*.test.ts"],
          setupFiles: ["libs/testkit/src/leak-guard.ts"],
          // Bounds for a machine that is starved: nothing is decided by them.
          testTimeout: 180_000,
          hookTimeout: 180_000,
          expect: { poll: { timeout: 60_000, interval: 20 } },
        },
      },
    ],
  },
});
