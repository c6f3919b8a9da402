/** A started app. Whoever starts it drains it once, then disposes of it. */
export interface Service extends AsyncDisposable {
  /**
   * Stops accepting, tells clients, lets what is in flight finish. Resolves when nothing is left, or as soon as
   * `deadline` aborts, whichever comes first; what is left then is cut by disposing.
   */
  drain(deadline: AbortSignal): Promise<void>;
}

/** Disposes of many in the reverse of the order given, all of them even if one fails; then throws what failed. */
export async function disposeAll(resources: readonly AsyncDisposable[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  for (const resource of resources) stack.use(resource);
}
