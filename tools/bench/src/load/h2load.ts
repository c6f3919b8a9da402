import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { LoadResult } from "./load-result.ts";

const execute = promisify(execFile);

/** What h2load is to do. */
export interface H2loadPlan {
  readonly port: number;
  readonly path: string;
  /** File with the body of each request. */
  readonly bodyFile: string;
  readonly connections: number;
  readonly streams: number;
  readonly seconds: number;
  /** `grpc`: HTTP/2 with the headers of a call. `json`: HTTP/1.1, one request at a time on each connection. */
  readonly as?: "grpc" | "json";
}

const grpcArgs = ["-H", "content-type: application/grpc", "-H", "te: trailers"];
const jsonArgs = ["--h1", "-H", "content-type: application/json"];

/** Runs h2load. @throws Error when any request failed, for then the rate means nothing */
export async function h2load(plan: H2loadPlan): Promise<LoadResult> {
  const args = [
    ...["-c", String(plan.connections), "-m", String(plan.streams), "-D", String(plan.seconds)],
    ...["-d", plan.bodyFile, ...(plan.as === "json" ? jsonArgs : grpcArgs)],
    `http://127.0.0.1:${plan.port}${plan.path}`,
  ];
  const { stdout } = await execute("h2load", args);
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  const done = number(/(\d+) succeeded/);
  // At the end of its time h2load gives up what is in flight: no more than the streams can be missing.
  if (!(done > 0) || !/status codes: \d+ 2xx, 0 3xx, 0 4xx, 0 5xx/.test(stdout)) {
    throw new Error(`h2load failed:\n${stdout}`);
  }
  return { requests: done, seconds: plan.seconds };
}
