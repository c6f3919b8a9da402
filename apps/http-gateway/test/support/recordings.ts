import { readFileSync } from "node:fs";

/** One request and answer recorded from a real etcd; see testdata/README.md. */
export interface Recording {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | null;
  /** A chunked body: seconds after the start, and the chunk; null ends the body. */
  readonly body_chunks?: readonly (readonly [number, string | null])[];
  /** Null where etcd never answered. */
  readonly status: number | null;
  readonly response: string;
  readonly response_headers: Readonly<Record<string, string>>;
  readonly response_trailers?: Readonly<Record<string, readonly string[]>>;
  /** False where the stream was still open when the recorder hung up. */
  readonly complete: boolean;
}

export function readRecordings(file: string): Recording[] {
  const text = readFileSync(new URL(`../testdata/${file}`, import.meta.url), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Recording);
}

/** The body as it was sent; one recording holds bytes that no text can. */
export function bodyOf(recording: Recording): Buffer | null {
  if (recording.body_chunks !== undefined) {
    return Buffer.from(recording.body_chunks.map(([, chunk]) => chunk ?? "").join(""));
  }
  if (recording.body === null || recording.body === undefined) return null;
  if (recording.name !== "badjson_invalid_utf8") return Buffer.from(recording.body);
  return Buffer.from(
    recording.body.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    ),
    "latin1",
  );
}
