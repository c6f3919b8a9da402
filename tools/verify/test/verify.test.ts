import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseOptions } from "@etcd-edge/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findProblems, type VerifyConfig, verifyOptions } from "../src/options.ts";
import { renderText } from "../src/report/render-text.ts";
import { isGood, type RunReport } from "../src/report/run-report.ts";
import { verify } from "../src/verify.ts";

function configOf(...args: readonly string[]): VerifyConfig {
  const parsed = parseOptions(verifyOptions, args, {});
  if (parsed.t !== "values") throw new Error(JSON.stringify(parsed));
  return parsed.values;
}

describe("a short run with faults", () => {
  let out: string;
  beforeAll(async () => {
    out = await mkdtemp(join(tmpdir(), "etcd-edge-verify-"));
  });
  afterAll(() => rm(out, { recursive: true, force: true }));

  const run = (...args: readonly string[]): Promise<RunReport> =>
    verify(
      configOf(`--out=${out}`, "--seed=7", "--backlog=300", ...args),
      () => {},
      new AbortController().signal,
    );

  it("finds nothing in the chain of proxy and gateway, whatever happens to it", async () => {
    const faults = "cut,delay,partition,kill-replica,kill-member,compact,token-expiry,drop,duplicate,reorder";
    const report = await run(
      "--start=chain",
      "--members=1",
      "--tls",
      "--token-ttl=1s",
      "--service-user",
      "--duration=6s",
      `--faults=${faults}`,
    );
    expect(renderText(report)).toContain("every promise was kept");
    expect(isGood(report)).toBe(true);
    expect(report.notes).toEqual([]);
    expect(Object.keys(report.faults).length).toBeGreaterThan(0);
    const [round] = report.rounds;
    expect(round?.operations.answered).toBeGreaterThan(50);
    expect(round?.watches.made).toBeGreaterThan(0);
    expect(JSON.parse(await readFile(join(out, "report.json"), "utf8"))).toMatchObject({
      seed: 7,
      rounds: [{ violations: [] }],
    });
    expect(await readdir(join(out, "violations"))).toEqual([]);
  });

  it("finds nothing where replicas of both doors share over NATS and Redis", async () => {
    const report = await run(
      "--start=grpc-proxy",
      "--http-replicas=1",
      "--nats",
      "--redis",
      "--members=1",
      "--duration=6s",
      "--faults=cut,kill-replica,lose-frames,flush-redis,cut-redis,stop-redis,kill-redis",
    );
    expect(renderText(report)).toContain("every promise was kept");
    expect(report.notes).toEqual([]);
    const [round] = report.rounds;
    expect(round?.operations.answered).toBeGreaterThan(50);
    expect(round?.watches.lines).toBeGreaterThan(0);
    expect(round?.watches.eventStreams).toBeGreaterThan(0);
    expect(round?.watches.sockets).toBeGreaterThan(0);
  });
});

describe("the command line", () => {
  it("names a fault that a stack cannot have, and a promise that there is not", () => {
    expect(
      parseOptions(verifyOptions, ["--faults=earthquake", "--allow=peace", "--start=window"], {}),
    ).toEqual({
      t: "problems",
      problems: [
        expect.stringContaining("--start must be one of direct, tcp-gateway"),
        '--faults: "earthquake" is not a fault',
        '--allow: "peace" is not a promise',
      ],
    });
  });

  it("wants endpoints or a stack, and disturbs only what it has started", () => {
    expect(findProblems(configOf("--faults=cut"))).toHaveLength(2);
    expect(findProblems(configOf("--start=direct", "--endpoints=a:1"))).toHaveLength(1);
    expect(findProblems(configOf("--start=direct", "--faults=all"))).toEqual([]);
    expect(findProblems(configOf("--start=direct", "--http-endpoints=a:1"))).toHaveLength(1);
    expect(findProblems(configOf("--endpoints=a:1", "--http-endpoints=a:2"))).toEqual([]);
    expect(findProblems(configOf("--start=grpc-proxy", "--service-user"))).toHaveLength(1);
    expect(findProblems(configOf("--start=grpc-proxy", "--service-user", "--token-ttl=2s"))).toEqual([]);
  });
});
