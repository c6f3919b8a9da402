/** An error of grpc-js as `code text`; other errors by their message. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && "details" in error) return `${error.code} ${error.details}`;
  return error.message;
}

/** How a promise ended, in words. */
export async function outcomeOf<T>(promise: Promise<T>, describe: (value: T) => string): Promise<string> {
  return await promise.then(describe, failureText);
}
