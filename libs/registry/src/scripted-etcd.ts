import type { Logger } from "@etcd-edge/runtime";
import type { RegistryEtcd, RegistryWatcher } from "./registry-etcd.ts";

type Question = "grant" | "renew" | "revoke" | "put" | "list";

/** An etcd for tests: one table of keys, leases without time, failures and silences on demand. */
export class ScriptedEtcd implements RegistryEtcd {
  /** Every question, in order: `grant 10`, `renew 1`. */
  readonly asked: string[] = [];
  readonly leases: Set<bigint> = new Set();
  readonly entries: Map<string, { readonly value: string; readonly leaseId: bigint }> = new Map();
  /** Questions answered with an error. */
  readonly failing: Set<Question> = new Set();
  /** Questions that are never answered; they end when taken back. */
  readonly silent: Set<Question> = new Set();
  revision = 1n;
  ttlSeconds = 0;
  watching:
    | { readonly prefix: string; readonly fromRevision: bigint; readonly watcher: RegistryWatcher }
    | undefined;

  async grant(
    ttlSeconds: number,
    options: { signal?: AbortSignal },
  ): Promise<{ id: bigint; ttlSeconds: number }> {
    await this.#ask("grant", ttlSeconds, options.signal);
    const id = BigInt(this.asked.filter((question) => question.startsWith("grant")).length);
    this.leases.add(id);
    this.ttlSeconds = ttlSeconds;
    return { id, ttlSeconds };
  }

  async renew(leaseId: bigint, options: { signal?: AbortSignal }): Promise<number> {
    await this.#ask("renew", leaseId, options.signal);
    return this.leases.has(leaseId) ? this.ttlSeconds : 0;
  }

  async revoke(leaseId: bigint): Promise<void> {
    await this.#ask("revoke", leaseId, undefined);
    this.leases.delete(leaseId);
    for (const [key, entry] of this.entries) if (entry.leaseId === leaseId) this.entries.delete(key);
  }

  async put(
    entry: { key: string; value: string; leaseId: bigint },
    options: { signal?: AbortSignal },
  ): Promise<void> {
    await this.#ask("put", entry.leaseId, options.signal);
    this.entries.set(entry.key, entry);
  }

  async claim(
    entry: { key: string; value: string; leaseId: bigint },
    options: { signal?: AbortSignal },
  ): Promise<boolean> {
    await this.#ask("put", entry.leaseId, options.signal);
    const known = this.entries.get(entry.key);
    if (known !== undefined && known.leaseId !== entry.leaseId) return false;
    this.entries.set(entry.key, entry);
    return true;
  }

  async list(
    prefix: string,
    options: { signal?: AbortSignal },
  ): Promise<{ revision: bigint; entries: Map<string, string> }> {
    await this.#ask("list", prefix, options.signal);
    const entries = new Map([...this.entries].map(([key, { value }]) => [key, value]));
    return { revision: this.revision, entries };
  }

  watch(prefix: string, fromRevision: bigint, watcher: RegistryWatcher): () => void {
    this.asked.push(`watch ${prefix} from ${fromRevision}`);
    const watch = { prefix, fromRevision, watcher };
    this.watching = watch;
    return () => {
      if (this.watching === watch) this.watching = undefined;
    };
  }

  async #ask(question: Question, what: unknown, signal: AbortSignal | undefined): Promise<void> {
    this.asked.push(`${question} ${String(what)}`);
    if (this.failing.has(question)) throw new Error("etcdserver: no leader");
    if (!this.silent.has(question)) return;
    const { promise, reject } = Promise.withResolvers<never>();
    signal?.addEventListener("abort", () => reject(new Error("call was cancelled")));
    await promise;
  }
}

/** A logger that keeps what was said at warn. */
export function createWarnings(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    warn: (message, fields) => lines.push([message, fields?.["error"]].filter(Boolean).join(": ")),
    error: () => {},
    isEnabled: () => true,
    child: () => logger,
  };
  return { logger, lines };
}
