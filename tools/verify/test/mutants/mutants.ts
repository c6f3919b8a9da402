import type { PromiseName } from "../../src/validators/violation.ts";

/** One fault put into our own code: a text that its file has exactly once, and what stands there instead. */
export interface Mutant {
  /** Below the repository's root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The promise whose violation gives it away, and after how many operations at most. */
  readonly caughtBy: PromiseName;
  readonly operations: number;
  /** It matters only when connections to etcd are lost. */
  readonly needsCuts: boolean;
  /** It matters only where one of three members answers later than the others. */
  readonly needsLag?: true;
  /** It matters only where replicas share what they watch; perhaps only where frames get lost between them. */
  readonly needsFabric?: "calm" | "lossy";
  /** It matters only where users may do different things: sharing each for themselves, or under a user of the proxy's own. */
  readonly needsUsers?: "apart" | "together";
  /** It matters only where there are clients of http-gateway, or where replicas leave each other answers in Redis. */
  readonly needsBeside?: "http-gateway" | "redis";
}

/** Known-bad variants of grpc-proxy's watches and reads. Whoever builds something that can be wrong in a new way adds one here. */
export const mutants: Readonly<Record<string, Mutant>> = {
  "coverage by header revision": {
    file: "libs/coalesce/src/watch/feed-upstream.ts",
    find: "const advance = this.#intake.take(events, isFragment);",
    replace: `const taken = this.#intake.take(events, isFragment);
      const claimed = taken && this.#intake.progress(header.revision);
      const advance = taken && { events: taken.events, upto: claimed?.upto ?? taken.upto };`,
    caughtBy: "reliable",
    operations: 4_000,
    needsCuts: false,
  },
  "deliver below start": {
    file: "libs/coalesce/src/watch/watch-create.ts",
    find: "position: start - 1n,",
    replace: "position: start - 2n,",
    caughtBy: "filtered",
    operations: 4_000,
    needsCuts: false,
  },
  "resume one too far": {
    file: "libs/coalesce/src/watch/supply.ts",
    find: "const needed = this.#skipsKnown ? head + 1n : head;",
    replace: "const needed = this.#hasOpened ? head + 2n : head;",
    caughtBy: "reliable",
    operations: 4_000,
    needsCuts: true,
  },
  "trust a created header": {
    file: "libs/coalesce/src/watch/feed-upstream.ts",
    find: "this.#inOrder(() => this.#listener.onCreated(this));",
    replace: `this.#inOrder(() => {
        this.#listener.onCreated(this);
        const advance = this.#intake.progress(header.revision);
        if (advance !== undefined) this.#listener.onAdvance(this, advance, header);
      });`,
    caughtBy: "reliable",
    operations: 4_000,
    needsCuts: false,
  },
  "lose a cancel": {
    file: "libs/coalesce/src/watch/watch-session.ts",
    find: `    this.#forget(watcher);
    this.#sendControl(canceledMessage(this.#header(known), watchId));`,
    replace: "    this.#sendControl(canceledMessage(this.#header(known), watchId));",
    caughtBy: "cancels",
    operations: 4_000,
    needsCuts: false,
  },
  // Reads that are in the air can still be joined: they may have been answered before the one who joins began (rule 28).
  // Whatever is not linearizable by it shows a revision below one that was answered before; that is seen without a search.
  "join a flight in the air": {
    file: "libs/coalesce/src/read/read-group.ts",
    find: `    for (const ask of asks) this.#waiting.delete(ask.key);
    for (const ask of riders) this.#waiting.delete(ask.key);`,
    replace: `    for (const ask of [...asks, ...riders]) {
      const settle = ask.settle.bind(ask);
      ask.settle = (result) => {
        this.#waiting.delete(ask.key);
        settle(result);
      };
    }`,
    caughtBy: "revision order",
    operations: 12_000,
    needsCuts: false,
    needsLag: true,
  },
  // What was read at a revision is taken for the state of a later one, though no feed says what happened between (rule 6).
  "a proof that begins after what it proves": {
    file: "libs/coalesce/src/cache/held-range.ts",
    find: "const snapshot = await load();",
    replace: `const early = await load();
      await new Promise((resolve) => void this.#options.clock.setTimer(200, () => resolve(undefined)));
      const snapshot = early && { ...early, revision: (await hub.probe(range)).revision };`,
    caughtBy: "linearizable",
    operations: 4_000,
    needsCuts: false,
  },
  "drop a frame": {
    file: "libs/coalesce/src/fabric/follower.ts",
    find: "if (fresh.length > 0) this.#sink.onEvents(fresh, false, header);",
    replace: "if (fresh.length > 0 && upto % 7n !== 0n) this.#sink.onEvents(fresh, false, header);",
    caughtBy: "reliable",
    operations: 4_000,
    needsCuts: false,
    needsFabric: "calm",
  },
  "skip the prev check": {
    file: "libs/coalesce/src/fabric/follower.ts",
    find: '} else if (this.#phase === "joining" || frame.prev > this.#coverage) {',
    replace: '} else if (this.#phase === "joining") {',
    caughtBy: "reliable",
    operations: 4_000,
    needsCuts: false,
    needsFabric: "lossy",
  },
  // Everybody who shows some token is one, and etcd is asked with that of the first (rules 28, 34).
  "share across credentials": {
    file: "libs/watching/src/watch-identity.ts",
    find: 'scope: credential === undefined ? "" :',
    replace: 'scope: credential === undefined ? "" : credential ? ":" :',
    caughtBy: "permitted",
    operations: 4_000,
    needsCuts: false,
    needsUsers: "apart",
  },
  // Who comes to a feed of the proxy's own user is not asked about (rule 18).
  "share and do not ask": {
    file: "libs/watching/src/watch-scopes.ts",
    find: "decide: (range) => book.decide(range),",
    replace: "decide: () => Promise.resolve(),",
    caughtBy: "permitted",
    operations: 4_000,
    needsCuts: false,
    needsUsers: "together",
  },
  // What one user has read is read for all of them (rule 28).
  "share reads and do not ask": {
    file: "libs/coalesce/src/permission/read-permissions.ts",
    find: "isAllowed(range: KeyRange): boolean {",
    replace: "isAllowed(range: KeyRange): boolean { if (range) return true;",
    caughtBy: "permitted",
    operations: 4_000,
    needsCuts: false,
    needsUsers: "together",
  },
  // A stream of events says that it has told one revision more than it has.
  "an id one too far": {
    file: "apps/http-gateway/src/events/event-stream.ts",
    find: `header.revision);
    const text`,
    replace: `header.revision + 1n);
    const text`,
    caughtBy: "bookmarkable",
    operations: 4_000,
    needsCuts: false,
    needsBeside: "http-gateway",
  },
  // What another replica has left in Redis is shown, whatever it is.
  "believe what is stored": {
    file: "libs/coalesce/src/cache/remote-answers.ts",
    find: "const body = decodeStoreEntry(entry);",
    replace: "const body = decodeStoreEntry(entry)?.subarray(0, 0);",
    caughtBy: "acknowledged",
    operations: 4_000,
    needsCuts: false,
    needsBeside: "redis",
  },
};
