import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const keptLines = 400;

/** A started program. Disposing kills it and waits until it is gone; twice is fine. */
export interface RunningProgram extends AsyncDisposable {
  readonly pid: number;
  /** Resolves with the exit code, or the name of the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Everything it said on both streams, at most the last 400 lines. */
  output(): string;
  /**
   * Resolves with the first line, said already or to come, that contains the text.
   * @throws Error with the output where the program ends, or the time is over, before that
   */
  waitForLine(text: string, options?: { timeoutMs?: number }): Promise<string>;
  signal(name: NodeJS.Signals): void;
}

/**
 * Starts a program with its streams captured. Its environment is ours plus `env`. `detached` puts it into a process
 * group of its own, out of reach of the terminal's Ctrl-C.
 */
export function startProgram(
  command: string,
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; cwd?: string; detached?: boolean } = {},
): RunningProgram {
  const child: ChildProcess = spawn(command, [...args], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: options.detached ?? false,
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const lines: string[] = [];
  const watchers = new Set<(line: string) => void>();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
      for (const watch of watchers) watch(line);
    });
  }
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("error", (error) => {
      lines.push(String(error));
      resolve(-1);
    });
    child.once("close", (code, signal) => resolve(code ?? signal ?? -1));
  });
  const output = (): string => lines.join("\n");

  const waitForLine: RunningProgram["waitForLine"] = async (text, { timeoutMs = 90_000 } = {}) => {
    const said = lines.find((line) => line.includes(text));
    if (said !== undefined) return said;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const watch = (line: string): void => {
      if (line.includes(text)) resolve(line);
    };
    const fail = (why: string): void =>
      reject(new Error(`${command} ${why} before it said ${JSON.stringify(text)}; it said:\n${output()}`));
    const timer = setTimeout(() => fail(`took longer than ${timeoutMs} ms`), timeoutMs);
    watchers.add(watch);
    void exited.then((how) => fail(`ended (${how})`));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      watchers.delete(watch);
    }
  };

  return {
    pid: child.pid ?? -1,
    exited,
    output,
    waitForLine,
    signal: (name) => void child.kill(name),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
        child.kill("SIGCONT"); // a stopped process would never see the next one
        child.kill("SIGKILL");
        await once(child, "close");
      }
      await exited;
    },
  };
}
