import { join } from "node:path";
import { type RunningProgram, startProgram } from "@etcd-edge/testkit";
import type { TierProcess } from "./plan.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const readyTimeoutMs = 30_000;
const readyPollMs = 50;

/** A started tier. Disposing ends it with SIGTERM and waits for its drain. */
export interface StartedTier extends AsyncDisposable {
  readonly plan: TierProcess;
  readonly program: RunningProgram;
}

/** Starts a tier on this very Node. Nothing is ready yet. */
export function startTier(plan: TierProcess): StartedTier {
  const main = join(root, "apps", plan.tier, "src", "main.ts");
  const program = startProgram(process.execPath, [main, ...plan.args], { detached: true });
  return {
    plan,
    program,
    [Symbol.asyncDispose]: async () => {
      program.signal("SIGTERM");
      await program.exited;
      await program[Symbol.asyncDispose]();
    },
  };
}

/**
 * Resolves when /readyz says so.
 * @throws Error with what the process said, where it ends or is not ready within 30 s
 */
export async function waitUntilReady(tier: StartedTier): Promise<void> {
  const { plan, program } = tier;
  const name = `${plan.tier} ${plan.replica}`;
  let ended: number | NodeJS.Signals | undefined;
  void program.exited.then((how) => {
    ended = how;
  });
  const deadline = Date.now() + readyTimeoutMs;
  while (Date.now() < deadline) {
    if (ended !== undefined) throw new Error(`${name} ended (${ended}):\n${program.output()}`);
    if (await isReady(plan.adminUrl)) return;
    await new Promise((resolve) => setTimeout(resolve, readyPollMs));
  }
  throw new Error(`${name} is not ready after ${readyTimeoutMs} ms:\n${program.output()}`);
}

async function isReady(adminUrl: string): Promise<boolean> {
  try {
    const response = await fetch(`${adminUrl}/readyz`, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}
