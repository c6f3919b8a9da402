import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EtcdBinary } from "@etcd-edge/testkit";

/** What one step showed its user. */
export interface Answer {
  readonly step: string;
  readonly exitCode: number | null;
  readonly stdout: string;
  /** Only the lines meant for people: etcdctl's own log lines carry times and addresses. */
  readonly errors: readonly string[];
}

interface Step {
  readonly args: readonly string[];
  readonly input?: string;
  /** Runs these while the first command runs, once that has said so many lines. */
  readonly meanwhile?: { readonly afterLines: number; readonly run: readonly (readonly string[])[] };
  /** The command never ends by itself: stop it when it has said this many lines. */
  readonly untilLines?: number;
}

const plain: readonly Step[] = [
  { args: ["put", "a/1", "one"] },
  { args: ["put", "a/2", "two", "--prev-kv"] },
  { args: ["put", "a/1", "uno", "--prev-kv"] },
  { args: ["put", "", "nobody"] },
  { args: ["put", "a/9", "nine", "--lease=1234"] },
  { args: ["get", "a/1", "-w", "fields"] },
  { args: ["get", "a/", "--prefix"] },
  { args: ["get", "a/", "--prefix", "--keys-only", "--limit=1", "-w", "json"] },
  { args: ["get", "a/", "--prefix", "--sort-by=VALUE", "--order=DESCEND"] },
  { args: ["get", "a/1", "--rev=2"] },
  { args: ["get", "a/1", "--rev=999"] },
  { args: ["get", "nothing", "-w", "json"] },
  { args: ["get", "", "--from-key", "--consistency=s"] },
  { args: ["txn"], input: 'value("a/1") = "uno"\n\nput a/3 three\nget a/2\n\nget a/1\n\n' },
  { args: ["txn"], input: 'version("a/1") > "7"\n\nput a/4 four\n\ndel a/2\n\n' },
  { args: ["txn"], input: "\n\nput a/5 x\nput a/5 y\n\n\n" },
  { args: ["del", "a/3", "--prev-kv"] },
  { args: ["del", "a/none"] },
  { args: ["watch", "a/", "--prefix", "--rev=2"], untilLines: 9 },
  { args: ["put", "w", "0"] },
  {
    // The event of the past shows that the watch stands; those of the present follow.
    args: ["watch", "w", "--rev=1"],
    meanwhile: {
      afterLines: 3,
      run: [
        ["put", "w", "1"],
        ["del", "w"],
      ],
    },
    untilLines: 9,
  },
  { args: ["watch", "w", "--prev-kv", "--rev=1"], untilLines: 9 },
  { args: ["compact", "3"] },
  { args: ["compact", "3"] },
  { args: ["compact", "4000"] },
  { args: ["get", "a/1", "--rev=2"] },
  { args: ["watch", "a/1", "--rev=2"] },
  { args: ["lease", "timetolive", "7b"] },
  { args: ["lease", "revoke", "7b"] },
  { args: ["lease", "list"] },
  { args: ["lock", "mutex", "echo", "held"] },
  { args: ["elect", "seat", "me"], untilLines: 2 },
  { args: ["role", "add", "reader"] },
  { args: ["role", "add", "reader"] },
  { args: ["role", "grant-permission", "reader", "read", "a/", "--prefix"] },
  { args: ["role", "get", "reader"] },
  { args: ["user", "add", "root:secret"] },
  { args: ["user", "add", "ann:pass"] },
  { args: ["user", "grant-role", "root", "root"] },
  { args: ["user", "grant-role", "ann", "reader"] },
  { args: ["user", "get", "ann"] },
  { args: ["auth", "enable"] },
  { args: ["get", "a/1"] },
  { args: ["get", "a/1", "--user=ann:pass"] },
  { args: ["get", "a/1", "--user=ann:wrong"] },
  { args: ["put", "a/1", "x", "--user=ann:pass"] },
  { args: ["get", "secret", "--user=ann:pass"] },
  { args: ["watch", "a/1", "--rev=4", "--user=ann:pass"], untilLines: 3 },
  { args: ["user", "list", "--user=root:secret"] },
  { args: ["auth", "disable", "--user=root:secret"] },
  { args: ["get", "a/1"] },
  { args: ["auth", "status"] },
  { args: ["role", "list"] },
  { args: ["role", "revoke-permission", "reader", "a/", "--prefix"] },
  { args: ["role", "revoke-permission", "reader", "nothing"] },
  { args: ["user", "passwd", "ann", "--interactive=false"], input: "other\n" },
  { args: ["user", "revoke-role", "ann", "reader"] },
  { args: ["user", "revoke-role", "ann", "reader"] },
  { args: ["user", "delete", "ann"] },
  { args: ["user", "delete", "ann"] },
  { args: ["role", "delete", "reader"] },
  { args: ["endpoint", "health"] },
  { args: ["endpoint", "status"] },
  { args: ["endpoint", "hashkv"] },
  { args: ["defrag"] },
  { args: ["member", "add", "m9", "--peer-urls=no-url"] },
  { args: ["member", "update", "1", "--peer-urls=http://127.0.0.1:1"] },
  { args: ["member", "promote", "1"] },
  { args: ["member", "remove", "1"] },
  { args: ["move-leader", "1"] },
  { args: ["downgrade", "validate", "nothing"] },
  { args: ["downgrade", "cancel"] },
  { args: ["version"] },
  { args: ["alarm", "list"] },
  { args: ["alarm", "disarm"] },
  { args: ["put", "big", "x".repeat(100_000)] },
  { args: ["get", "big"] },
];

/**
 * Runs a session of etcdctl through an address and returns what it showed, with what differs between two fresh clusters
 * (ids, terms) blotted out. Two doors to etcd are alike if their transcripts are.
 */
export async function runEtcdctlScript(binary: EtcdBinary, address: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const step of plain) answers.push(await runStep(binary, address, step));
  answers.push(await runLeaseSession(binary, address));
  answers.push(await runSnapshot(binary, address));
  return answers;
}

async function runStep(binary: EtcdBinary, address: string, step: Step): Promise<Answer> {
  const child = start(binary, address, step.args);
  child.stdin?.on("error", () => {}); // most commands end without reading it
  child.stdin?.end(step.input ?? "");
  const collected = collect(child);
  if (step.meanwhile !== undefined) {
    await collected.lines(step.meanwhile.afterLines);
    for (const args of step.meanwhile.run) await collect(start(binary, address, args)).closed;
  }
  if (step.untilLines !== undefined) {
    await collected.lines(step.untilLines);
    child.kill("SIGINT");
  }
  await collected.closed;
  const stopped = step.untilLines !== undefined;
  const stdout = stopped
    ? collected.stdout().split("\n").slice(0, step.untilLines).join("\n")
    : collected.stdout();
  return {
    step: step.args.join(" ").slice(0, 80),
    exitCode: stopped ? null : child.exitCode,
    stdout: blot(stdout),
    errors: errorLines(collected.stderr()),
  };
}

/** Grant, look, keep alive once, revoke, with the id that the grant answered. */
async function runLeaseSession(binary: EtcdBinary, address: string): Promise<Answer> {
  const grant = await runStep(binary, address, { args: ["lease", "grant", "600"] });
  const child = start(binary, address, ["lease", "grant", "600"]);
  const collected = collect(child);
  await collected.closed;
  const id = /lease (\w+) granted/.exec(collected.stdout())?.[1] ?? "none";
  const rest: Answer[] = [];
  for (const args of [
    ["put", "leased", "x", `--lease=${id}`],
    ["lease", "timetolive", id, "--keys"],
    ["lease", "keep-alive", "--once", id],
    ["lease", "revoke", id],
    ["lease", "timetolive", id],
    ["get", "leased"],
  ]) {
    rest.push(await runStep(binary, address, { args }));
  }
  const stdout = [grant, ...rest].map((answer) => `${answer.exitCode} ${answer.stdout}`).join("");
  return { step: "lease session", exitCode: 0, stdout, errors: rest.flatMap((answer) => answer.errors) };
}

async function runSnapshot(binary: EtcdBinary, address: string): Promise<Answer> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-snapshot-"));
  try {
    const file = join(folder, "snapshot.db");
    const child = start(binary, address, ["snapshot", "save", file]);
    const collected = collect(child);
    await collected.closed;
    const { size } = await stat(file);
    const stdout = `${size > 16_384 ? "a snapshot" : "too small"}`;
    return {
      step: "snapshot save",
      exitCode: child.exitCode,
      stdout,
      errors: errorLines(collected.stderr()),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function start(binary: EtcdBinary, address: string, args: readonly string[]): ChildProcess {
  const timeouts = ["--dial-timeout=10s", "--command-timeout=20s"];
  return spawn(binary.etcdctl, [`--endpoints=${address}`, ...timeouts, ...args], {
    env: { ...process.env, ETCDCTL_API: "3" },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

interface Collected {
  stdout(): string;
  stderr(): string;
  lines(count: number): Promise<void>;
  readonly closed: Promise<unknown>;
}

function collect(child: ChildProcess): Collected {
  let stdout = "";
  let stderr = "";
  const waiting = new Set<() => void>();
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
    for (const wake of waiting) wake();
  });
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  const closed = once(child, "close");
  const until = async (isDone: () => boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (isDone()) resolve();
    };
    waiting.add(check);
    check();
    void closed.then(() => resolve());
    await promise;
    waiting.delete(check);
  };
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    lines: (count) => until(() => stdout.split("\n").length > count),
    closed,
  };
}

function errorLines(stderr: string): string[] {
  return stderr
    .split("\n")
    .filter((line) => line.startsWith("Error:") || line.startsWith("watch was canceled"))
    .map(blot);
}

/** Ids, terms and remaining seconds differ between two runs; everything else must not. */
function blot(text: string): string {
  return (
    text
      .replaceAll(/"(cluster_id|member_id|raft_term)":\d+/g, '"$1":0')
      .replaceAll(/"(ClusterID|MemberID|RaftTerm)" : \d+/g, '"$1" : 0')
      .replaceAll(/\b[0-9a-f]{11,16}\b/g, "<id>")
      .replaceAll(/remaining\(\d+s\)/g, "remaining(<s>)")
      .replaceAll(/127\.0\.0\.1:\d+/g, "<address>")
      .replaceAll(/\btook( =|:)? [\d.]+\S*/g, "took <time>")
      // What follows a hash, or the state of a member, is that cluster's own.
      .replaceAll(/^(<address>, )\d+(, \d+)?$/gm, "$1<hash>")
      .replaceAll(/^(<address>, <id>, [\d.]+, ).*$/gm, "$1<state>")
  );
}
