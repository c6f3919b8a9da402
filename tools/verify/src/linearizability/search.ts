/** What a sequential object does: the specification that a history is compared with. */
export interface Model<S, O> {
  readonly initial: S;
  /** The state after the operation, or nothing where the operation could not have gone like this in that state. */
  step(state: S, operation: O): S | undefined;
  /** Equal for states that behave alike from now on. */
  stateKey(state: S): string;
}

/** An operation as the search sees it: when it may have taken effect. */
export interface Call<O> {
  readonly operation: O;
  readonly invokedAt: number;
  /** Infinity for one that never returned. */
  readonly returnedAt: number;
  /** It may never have taken effect. */
  readonly isOptional: boolean;
}

export type Verdict<O> =
  | { readonly t: "linearizable"; readonly order: readonly Call<O>[] }
  /** No order fits. `longest` is the longest beginning of one, `stuckOn` the call that nothing could make room for. */
  | { readonly t: "impossible"; readonly longest: readonly Call<O>[]; readonly stuckOn: Call<O> }
  /** The search gave up: nothing is said about the history. */
  | { readonly t: "gave up"; readonly steps: number };

/** One end of a call, in the order of time; a call that has taken effect is out of the list. */
interface Entry<O> {
  readonly call: Call<O>;
  readonly index: number;
  /** Of the invocation: the entry of its return, where it has one. */
  readonly returns: Entry<O> | undefined;
  readonly isReturn: boolean;
  previous: Entry<O> | undefined;
  next: Entry<O> | undefined;
}

const defaultMaxSteps = 5_000_000;

/**
 * Looks for an order of the calls that the model allows and in which no call comes before one that had returned when
 * it was invoked: J. Wing and C. Gong, "Testing and verifying concurrent objects" (1993), with G. Lowe's memory of
 * (set of calls, state) pairs that led nowhere, "Testing for linearizability" (2017).
 *
 * @param maxSteps after so many steps of the model it gives up
 */
export function findLinearization<S, O>(
  model: Model<S, O>,
  calls: readonly Call<O>[],
  maxSteps: number = defaultMaxSteps,
): Verdict<O> {
  const sorted = calls.toSorted((a, b) => a.invokedAt - b.invokedAt);
  const head = link(sorted);
  const done = new DoneSet(sorted);
  const dead = new Set<string>();
  const stack: { readonly entry: Entry<O>; readonly before: S }[] = [];
  let state = model.initial;
  let steps = 0;
  let longest: readonly Call<O>[] = [];
  let stuckOn: Call<O> | undefined;
  let entry = head.next;
  while (done.definiteLeft > 0) {
    if (entry === undefined) throw new Error("a call that must return has no return"); // link() makes one for each
    if (!entry.isReturn) {
      if (steps++ >= maxSteps) return { t: "gave up", steps: maxSteps };
      const after = model.step(state, entry.call.operation);
      if (after !== undefined) {
        done.add(entry.index);
        const key = `${done.key()}|${model.stateKey(after)}`;
        if (!dead.has(key)) {
          dead.add(key);
          stack.push({ entry, before: state });
          state = after;
          lift(entry);
          entry = head.next;
          continue;
        }
        done.remove(entry.index);
      }
      entry = entry.next;
      continue;
    }
    // A call has returned that has taken effect nowhere: what was tried before it has to be tried otherwise.
    if (stack.length >= longest.length) {
      longest = stack.map((taken) => taken.entry.call);
      stuckOn = entry.call;
    }
    const last = stack.pop();
    if (last === undefined) return { t: "impossible", longest, stuckOn: stuckOn ?? entry.call };
    state = last.before;
    done.remove(last.entry.index);
    unlift(last.entry);
    entry = last.entry.next;
  }
  return { t: "linearizable", order: stack.map((taken) => taken.entry.call) };
}

/** Both ends of every call in the order of time, behind a head that is none; at one time invocations come first. */
function link<O>(calls: readonly Call<O>[]): Entry<O> {
  const ends: { readonly at: number; readonly entry: Entry<O> }[] = [];
  for (const [index, call] of calls.entries()) {
    const shared = { call, index, previous: undefined, next: undefined };
    const isForced = !call.isOptional;
    const returns: Entry<O> | undefined = isForced
      ? { ...shared, returns: undefined, isReturn: true }
      : undefined;
    ends.push({ at: call.invokedAt, entry: { ...shared, returns, isReturn: false } });
    if (returns !== undefined) ends.push({ at: call.returnedAt, entry: returns });
  }
  ends.sort((a, b) => a.at - b.at || Number(a.entry.isReturn) - Number(b.entry.isReturn));
  const head: Entry<O> = {
    call: undefined as unknown as Call<O>, // never looked at
    index: -1,
    returns: undefined,
    isReturn: false,
    previous: undefined,
    next: undefined,
  };
  let last = head;
  for (const { entry } of ends) {
    last.next = entry;
    entry.previous = last;
    last = entry;
  }
  return head;
}

function lift<O>(entry: Entry<O>): void {
  take(entry);
  if (entry.returns !== undefined) take(entry.returns);
}

function unlift<O>(entry: Entry<O>): void {
  if (entry.returns !== undefined) putBack(entry.returns);
  putBack(entry);
}

function take<O>(entry: Entry<O>): void {
  if (entry.previous !== undefined) entry.previous.next = entry.next;
  if (entry.next !== undefined) entry.next.previous = entry.previous;
}

function putBack<O>(entry: Entry<O>): void {
  if (entry.previous !== undefined) entry.previous.next = entry;
  if (entry.next !== undefined) entry.next.previous = entry;
}

/** Which calls have taken effect, with a short text for it: few are done out of order at any time. */
class DoneSet {
  readonly #flags: Uint8Array;
  readonly #optional: Uint8Array;
  readonly #optionalDone = new Set<number>();
  /** Every call that must return, below this, is done. */
  #low = 0;
  /** None from here on is done. */
  #high = 0;
  definiteLeft: number;

  constructor(calls: readonly { readonly isOptional: boolean }[]) {
    this.#flags = new Uint8Array(calls.length);
    this.#optional = Uint8Array.from(calls, (call) => (call.isOptional ? 1 : 0));
    this.definiteLeft = calls.filter((call) => !call.isOptional).length;
  }

  add(index: number): void {
    this.#flags[index] = 1;
    if (this.#optional[index] === 1) this.#optionalDone.add(index);
    else this.definiteLeft--;
    if (index >= this.#high) this.#high = index + 1;
    while (this.#low < this.#high && (this.#flags[this.#low] === 1 || this.#optional[this.#low] === 1))
      this.#low++;
  }

  remove(index: number): void {
    this.#flags[index] = 0;
    if (this.#optional[index] === 1) this.#optionalDone.delete(index);
    else {
      this.definiteLeft++;
      if (index < this.#low) this.#low = index;
    }
    while (this.#high > 0 && this.#flags[this.#high - 1] !== 1) this.#high--;
  }

  key(): string {
    let text = `${this.#low}`;
    for (let i = this.#low; i < this.#high; i++) {
      if (this.#flags[i] === 1 && this.#optional[i] !== 1) text += `,${i}`;
    }
    return this.#optionalDone.size === 0 ? text : `${text};${[...this.#optionalDone].sort().join()}`;
  }
}
