import { join } from "node:path";
import { type RunningProgram, startProgram } from "@etcd-edge/testkit";

/** Who has not answered by then does not run. */
const standsStillMs = 1_000;
const apps = join(import.meta.dirname, "..", "..", "..", "..", "apps");

/** One replica of a tier, which may be killed and started again at the same address. Dispose of it. */
export class DoorProcess implements AsyncDisposable {
  readonly tier: "grpc-proxy" | "http-gateway";
  readonly port: number;
  readonly adminUrl: string;
  readonly #flags: readonly string[];
  #program: RunningProgram | undefined = undefined;
  #rangesAtEtcd: readonly string[] = [];
  /** What processes before this one had counted when they were ended. */
  readonly #past = new Map<string, number>();

  constructor(
    tier: "grpc-proxy" | "http-gateway",
    ports: readonly [number, number],
    flags: readonly string[],
  ) {
    this.tier = tier;
    this.port = ports[0];
    this.adminUrl = `http://127.0.0.1:${ports[1]}`;
    this.#flags = [
      `--listen-addr=127.0.0.1:${ports[0]}`,
      `--metrics-addr=${this.adminUrl}`,
      ...(tier === "grpc-proxy" ? ["--advertise-client-url="] : []),
      ...flags,
    ];
  }

  async start(): Promise<void> {
    const main = join(apps, this.tier, "src", "main.ts");
    this.#program = startProgram(process.execPath, [main, "start", ...this.#flags]);
    await this.#program.waitForLine(
      this.tier === "grpc-proxy" ? "started gRPC proxy" : "ready to serve client requests",
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#program?.signal(signal);
  }

  /** Ends it and waits until it is gone. @param kept counters that go on in the next process */
  async end(signal: "SIGKILL" | "SIGTERM", kept: readonly string[] = []): Promise<void> {
    for (const name of kept) this.#past.set(name, await this.metric(name));
    this.signal(signal);
    await this.#program?.exited;
  }

  /** All rows of a metric together, and what was kept. */
  async metric(name: string): Promise<number> {
    const past = this.#past.get(name) ?? 0;
    try {
      // grpc-proxy has etcd's own at /metrics.
      const path = this.tier === "grpc-proxy" ? "/proxy/metrics" : "/metrics";
      const body = await (await fetch(this.adminUrl + path)).text();
      const rows = body.split("\n").filter((row) => row.startsWith(`${name} `) || row.startsWith(`${name}{`));
      return rows.reduce((sum, row) => sum + Number(row.slice(row.lastIndexOf(" "))), past);
    } catch {
      return past; // it is away, as it was meant to be
    }
  }

  /** The ranges that it watches at etcd itself, once for each watch. While it stands still what it said last counts. */
  async rangesAtEtcd(): Promise<readonly string[]> {
    try {
      const answer = await fetch(`${this.adminUrl}/explain/watch?limit=0`, {
        signal: AbortSignal.timeout(standsStillMs),
      });
      const scopes = (await answer.json()) as {
        readonly feeds: readonly { readonly range: string; readonly fabric?: { readonly role: string } }[];
      }[];
      const feeds = scopes.flatMap((scope) => scope.feeds);
      this.#rangesAtEtcd = feeds
        .filter(({ fabric }) => fabric?.role !== "following")
        .map(({ range }) => range);
    } catch (error) {
      // Nobody listens: it is gone, and its watches with it.
      if (!(error instanceof DOMException)) this.#rangesAtEtcd = [];
    }
    return this.#rangesAtEtcd;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]();
  }
}
