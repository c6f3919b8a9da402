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
  // One listener each for the life of the child: questions come by the hundred.
  const answers: unknown[] = [];
  let waiting: PromiseWithResolvers<unknown> | undefined;
  child.on("message", (message) => {
    if (waiting === undefined) answers.push(message);
    else waiting.resolve(message);
    waiting = undefined;
  });
  child.once("exit", (code) => waiting?.reject(new Error(`${module} ended (${code})`)));
  return {
    pid: child.pid ?? -1,
    ask: (question) => {
      if (question !== undefined) child.send(question as object);
      if (answers.length > 0) return Promise.resolve(answers.shift());
      if (child.exitCode !== null) return Promise.reject(new Error(`${module} ended (${child.exitCode})`));
      waiting = Promise.withResolvers();
      return waiting.promise;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
