import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningProgram, startProgram } from "@etcd-edge/testkit";
import type { FaultFleet } from "./fault-fleet.ts";

const main = join(import.meta.dirname, "..", "..", "..", "verify", "src", "main.ts");
/** Longer than any run: it is told when to stop. */
const duration = "6h";
/** Its last round comes to rest, and is judged. */
const verdictMs = 120_000;

/** What verify had to say in the end. */
export interface Verdict {
  readonly rounds: number;
  readonly operations: number;
  /** Calls whose outcome nobody knows, as there are where doors die. */
  readonly unknown: number;
  readonly watches: number;
  readonly events: number;
  readonly violations: number;
  /** Whether it ran to its end, saw something, and every promise was kept. */
  readonly isKept: boolean;
  /** Why not. */
  readonly texts: readonly string[];
}

/** What is read of its `report.json`. */
interface Told {
  readonly rounds: readonly {
    readonly operations: { readonly answered: number; readonly unknown: number };
    readonly watches: { readonly made: number };
    readonly events: number;
    readonly violations: readonly { readonly promise: string; readonly text: string }[];
  }[];
}

/**
 * `etcd-edge verify` as a process of its own, on keys of its own, at the doors of a fleet, which somebody else disturbs. It
 * compacts nothing: clients that lost their door would be told so, and rightly. Dispose of it.
 */
export class VerifyBeside implements AsyncDisposable {
  readonly #program: RunningProgram;
  readonly #out: string;
  #isOver = false;
  #isKeptFolder = false;

  private constructor(program: RunningProgram, out: string) {
    this.#program = program;
    this.#out = out;
    void program.exited.then(() => {
      this.#isOver = true;
    });
  }

  /** @param reference `host:port` of etcd itself @returns once its traffic is about to begin */
  static async start({ doors }: FaultFleet, reference: string): Promise<VerifyBeside> {
    const at = (wanted: string): string =>
      doors
        .filter(({ tier }) => tier === wanted)
        .map(({ port }) => `127.0.0.1:${port}`)
        .join(",");
    const out = await mkdtemp(join(tmpdir(), "etcd-edge-bench-verify-"));
    const program = startProgram(process.execPath, [
      main,
      ...[`--endpoints=${at("grpc-proxy")}`, `--http-endpoints=${at("http-gateway")}`],
      ...[`--reference=${reference}`, "--prefix=verify/", `--out=${out}`],
      ...[`--duration=${duration}`, "--round=20s", "--compact-every=0s"],
      ...["--rate=40", "--clients=6", "--watch-streams=6", "--backlog=200"],
    ]);
    const started = new VerifyBeside(program, out);
    try {
      await program.waitForLine("seed ");
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
    return started;
  }

  /** Ends its traffic, waits for its judgement, and reads it. */
  async judge(): Promise<Verdict> {
    const texts: string[] = [];
    if (this.#isOver) texts.push("verify ended before the faults did");
    this.#program.signal("SIGINT");
    const tooLong = setTimeout(() => this.#program.signal("SIGKILL"), verdictMs);
    const ended = await this.#program.exited;
    clearTimeout(tooLong);
    if (ended !== 0) texts.push(`verify ended with ${ended}: ${this.#program.output()}`);
    const { rounds } = await this.#read();
    const sum = (of: (round: Told["rounds"][number]) => number): number =>
      rounds.reduce((total, round) => total + of(round), 0);
    const found = rounds.flatMap(({ violations }) => violations);
    texts.push(...found.slice(0, 10).map(({ promise, text }) => `verify: ${promise}: ${text}`));
    const [operations, events] = [sum((round) => round.operations.answered), sum((round) => round.events)];
    if (operations === 0 || events === 0) texts.push("verify has seen nothing");
    this.#isKeptFolder = texts.length > 0;
    if (this.#isKeptFolder) texts.push(`what shows it is in ${this.#out}`);
    return {
      ...{ rounds: rounds.length, operations, events, texts },
      unknown: sum((round) => round.operations.unknown),
      watches: sum((round) => round.watches.made),
      violations: found.length,
      isKept: texts.length === 0,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
    if (!this.#isKeptFolder) await rm(this.#out, { recursive: true, force: true });
  }

  async #read(): Promise<Told> {
    try {
      return JSON.parse(await readFile(join(this.#out, "report.json"), "utf8")) as Told;
    } catch {
      return { rounds: [] }; // it has not come so far; that it has seen nothing is told
    }
  }
}
