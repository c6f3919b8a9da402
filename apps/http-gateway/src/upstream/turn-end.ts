import type { ReadMembers } from "@etcd-edge/coalesce";

/** Calls back once all sockets that had something were read in this turn of the event loop. */
export type TurnEnd = (callback: () => void) => void;

/**
 * Here a request has a connection to itself: those of one turn come one socket after the other, and each would find that the
 * one before has left. So reads leave when the last socket was read, all in one.
 *
 * @param flush writes what the callbacks collected; else their bytes would wait for another turn
 */
export function createTurnEnd(flush: () => void): TurnEnd {
  let due: (() => void)[] = [];
  const run = (): void => {
    const callbacks = due;
    due = [];
    for (const callback of callbacks) callback();
    flush();
  };
  return (callback) => {
    if (due.length === 0) setImmediate(run);
    due.push(callback);
  };
}

/** Members whose answers land at the end of a turn: the flight that follows takes along what came in the same turn. */
export function landAtTurnEnd<M>(members: ReadMembers<M>, turnEnd: TurnEnd): ReadMembers<M> {
  return {
    pick: (excluded) => members.pick(excluded),
    takesTxn: (member) => members.takesTxn(member),
    send: (member, read, onEnd) => {
      let isGivenUp = false;
      const cancel = members.send(member, read, (end) =>
        turnEnd(() => {
          if (!isGivenUp) onEnd(end);
        }),
      );
      return () => {
        isGivenUp = true;
        cancel();
      };
    },
  };
}
