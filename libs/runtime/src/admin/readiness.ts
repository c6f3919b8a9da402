/** Why a check does not hold, or nothing where it does. */
type Check = () => string | undefined;

/** What /readyz answers from: named checks, all of which must hold, and the drain that ends readiness for good. */
export interface Readiness {
  /** Adds a check. It is called at each question and must be cheap. */
  addCheck(name: string, check: Check): void;
  /** From now on not ready: load balancers should look elsewhere. */
  startDraining(): void;
  /** Why it is not ready, in a word; nothing where it is. */
  problem(): string | undefined;
  /** One row a check, in the order they were added. */
  report(): { readonly ready: boolean; readonly rows: readonly ReadinessRow[] };
}

interface ReadinessRow {
  readonly name: string;
  readonly problem: string | undefined;
}

export function createReadiness(): Readiness {
  const checks = new Map<string, Check>();
  let draining = false;
  checks.set("not-draining", () => (draining ? "shutting down" : undefined));
  return {
    addCheck: (name, check) => void checks.set(name, check),
    startDraining: () => {
      draining = true;
    },
    problem: () => {
      for (const check of checks.values()) {
        const problem = check();
        if (problem !== undefined) return problem;
      }
      return undefined;
    },
    report: () => {
      const rows = [...checks].map(([name, check]) => ({ name, problem: check() }));
      return { ready: rows.every((row) => row.problem === undefined), rows };
    },
  };
}
