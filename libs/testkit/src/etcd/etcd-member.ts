import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { get as getSecurely } from "node:https";
import { text } from "node:stream/consumers";
import { allStopped } from "../process/all-stopped.ts";
import { type RunningProgram, startProgram } from "../process/child-process.ts";

/** A member of a running cluster. The cluster that made it disposes of it. */
export interface EtcdMember {
  readonly name: string;
  /** `127.0.0.1:12379`, as `--endpoints` takes it. */
  readonly clientAddress: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly pid: number;
  /** Everything the current process said. */
  output(): string;
  /** SIGSTOP, and waits until it has stopped: the kernel still accepts connections, nobody answers. */
  stop(): Promise<void>;
  /** SIGCONT. */
  resume(): void;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again on its data, and waits until it answers health checks. */
  restart(): Promise<void>;
  /** Resolves when the member says it is healthy (it has a leader) and the cluster's version is decided. */
  healthy(): Promise<void>;
}

export interface MemberPlan {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly detached: boolean;
}

const healthPollMs = 50;
const healthTimeoutMs = 60_000;

/** Starts one etcd process. Resolves at once; ask `healthy()` before use. */
export function startEtcdMember(plan: MemberPlan): EtcdMember & AsyncDisposable {
  const start = (): RunningProgram =>
    startProgram(plan.program, plan.args, { env: cleanEnvironment, detached: plan.detached });
  let running = start();
  return {
    name: plan.name,
    clientAddress: new URL(plan.clientUrl).host,
    clientUrl: plan.clientUrl,
    peerUrl: plan.peerUrl,
    get pid() {
      return running.pid;
    },
    output: () => running.output(),
    stop: async () => {
      running.signal("SIGSTOP");
      await allStopped(running.pid);
    },
    resume: () => running.signal("SIGCONT"),
    kill: async () => {
      await running[Symbol.asyncDispose]();
    },
    restart: async () => {
      await running[Symbol.asyncDispose]();
      running = start();
      await waitForHealth(plan.clientUrl, running);
    },
    healthy: () => waitForHealth(plan.clientUrl, running),
    [Symbol.asyncDispose]: async () => {
      await running[Symbol.asyncDispose]();
    },
  };
}

// etcd warns about every ETCD_* it does not know, and takes those it does.
const cleanEnvironment: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => name.startsWith("ETCD_"))
    .map((name) => [name, ""]),
);

async function waitForHealth(clientUrl: string, program: RunningProgram): Promise<void> {
  const deadline = Date.now() + healthTimeoutMs;
  let ended: number | NodeJS.Signals | undefined;
  void program.exited.then((how) => {
    ended = how;
  });
  while (Date.now() < deadline) {
    if (await answersHealthy(clientUrl)) return;
    if (ended !== undefined) throw new Error(`etcd ended (${ended}):\n${program.output()}`);
    // The one place that polls: etcd has no other way to say that it has a leader.
    await new Promise((resolve) => setTimeout(resolve, healthPollMs));
  }
  throw new Error(`etcd not healthy after ${healthTimeoutMs} ms:\n${program.output()}`);
}

/**
 * Healthy, and the version decided: for its first moments a cluster says `not_decided`, and refuses what a later
 * version can do.
 */
async function answersHealthy(clientUrl: string): Promise<boolean> {
  const health = await fetchText(`${clientUrl}/health`);
  return health !== undefined && hasDecided((await fetchText(`${clientUrl}/version`)) ?? "{}");
}

function hasDecided(versions: string): boolean {
  const { etcdserver, ...others } = JSON.parse(versions) as Record<string, string>;
  const line = etcdserver?.split(".").slice(0, 2).join(".");
  return line !== undefined && Object.values(others).every((version) => version.startsWith(`${line}.`));
}

/** The body of a 200; undefined for any other answer, and where nobody listens yet. */
async function fetchText(url: string): Promise<string | undefined> {
  const ask = url.startsWith("https:") ? getSecurely : get;
  const request = ask(url, { agent: false, timeout: 1_000, rejectUnauthorized: false });
  request.on("timeout", () => request.destroy(new Error("timeout")));
  try {
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const body = await text(response);
    return response.statusCode === 200 ? body : undefined;
  } catch {
    return undefined; // not listening yet, or a TLS handshake that wants a client certificate
  }
}
