import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** A child of ours that talks over IPC. Disposing kills it. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** Sends a message and resolves with the next one back; without a message, with the next one. */
  ask(question?: unknown): Promise<unknown>;
}

/** Starts a module of this folder, with the garbage collector at hand. */
export function startChild(module: string, args: readonly string[] = []): Child {
  const child: ChildProcess = fork(join(import.meta.dirname, module), [...args], {
    execArgv: ["--expose-gc"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  return {
    pid: child.pid ?? -1,
    ask: async (question) => {
      const answer = Promise.race([
        once(child, "message").then(([message]) => message),
        once(child, "exit").then(([code]) => Promise.reject(new Error(`${module} ended (${code})`))),
      ]);
      if (question !== undefined) child.send(question as object);
      return answer;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
