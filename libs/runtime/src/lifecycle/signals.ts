/** Signals that end a process gently. Both mean the same; the launcher and shells send either or both. */
const endingSignals = ["SIGTERM", "SIGINT"] as const;

/**
 * Resolves with the name of the first ending signal. Repeats are swallowed until the handle is disposed of: a
 * Ctrl-C reaches a whole process group, and the launcher sends SIGTERM right behind it.
 */
export function listenForEnd(): { readonly ended: Promise<string>; [Symbol.dispose](): void } {
  const { promise, resolve } = Promise.withResolvers<string>();
  const onSignal = (name: NodeJS.Signals): void => resolve(name);
  for (const name of endingSignals) process.on(name, onSignal);
  return {
    ended: promise,
    [Symbol.dispose]: () => {
      for (const name of endingSignals) process.off(name, onSignal);
    },
  };
}
