import { Buffer } from "node:buffer";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findProgram } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { certificate, certificateKey } from "./support/certificate.ts";
import { startServer } from "./support/echo-server.ts";
import { ensureH2spec } from "./support/h2spec.ts";

const execute = promisify(execFile);

describe("h2spec", () => {
  it.each([
    { over: "plaintext", tls: undefined, flags: [] },
    { over: "TLS", tls: { cert: certificate, key: certificateKey }, flags: ["-t", "-k"] },
  ])(
    "passes every case over $over, where Go can build it",
    async ({ tls, flags }) => {
      const program = await ensureH2spec();
      if (program === undefined) {
        expect(await findProgram("go")).toBeUndefined();
        return;
      }
      await using test = await startServer({
        ...(tls === undefined ? {} : { tls }),
        // The suite knows nothing of gRPC: it sends GET and POST, wants DATA in answers, and tries the stream limit.
        acceptRequest: () => true,
        maxConcurrentStreams: 100,
        onCall: (call) => ({
          onMessage: () => {},
          onHalfClose: () => call.respond(Buffer.from("hello")),
          onCancel: () => {},
        }),
      });
      const args = ["-h", "127.0.0.1", "-p", String(test.port), "-o", "3", ...flags];
      const { stdout } = await execute(program, args, { timeout: 100_000 }).catch(
        (error: { stdout: string }) => error,
      );
      const [, total, passed, skipped, failed] =
        /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(stdout)?.map(Number) ?? [];
      expect({ skipped, failed }, stdout).toEqual({ skipped: 0, failed: 0 });
      expect(passed).toBe(total);
      expect(total).toBeGreaterThan(140);
    },
    180_000,
  );
});
