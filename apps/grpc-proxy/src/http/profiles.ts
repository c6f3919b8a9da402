import type { IncomingMessage, ServerResponse } from "node:http";
import { type HttpHandler, sendText } from "@etcd-edge/runtime";

/** Where etcd serves its profiles, and we ours. */
const base = "/debug/pprof/";
const defaultSeconds = 30;
const longestSeconds = 600;
/** As Go samples: 100 times a second. */
const cpuIntervalMicros = 10_000;
const heapIntervalBytes = 512 * 1024;
const heapStackDepth = 64;

/** What Go has and Node has not: goroutines, its locks, its tracer. */
const absent: readonly string[] = ["goroutine", "threadcreate", "block", "mutex", "trace", "symbol"];

/** Profiles of this process; one at a time can be had. Disposing ends the sampling. */
export interface Profiles extends Disposable {
  readonly routes: ReadonlyMap<string, HttpHandler>;
}

/**
 * `--enable-pprof`: CPU and heap profiles that `go tool pprof` opens, under etcd's paths. Sampling of the heap begins
 * now and costs a little from here on; that of the CPU runs only while somebody asks.
 */
export async function startProfiles(): Promise<Profiles> {
  // A native module: only those who want profiles load it.
  const { encode, heap, time } = await import("@datadog/pprof");
  heap.start(heapIntervalBytes, heapStackDepth);
  const cpu: HttpHandler = async (request, response) => {
    const seconds = secondsOf(request);
    if (seconds === undefined) return refuse(response, 400, `seconds must be from 1 to ${longestSeconds}`);
    if (time.isStarted())
      return refuse(response, 500, "Could not enable CPU profiling: cpu profiling already in use");
    const options = { durationMillis: seconds * 1_000, intervalMicros: cpuIntervalMicros };
    sendProfile(response, "profile", await encode(await time.profile(options)));
  };
  const routes = new Map<string, HttpHandler>([
    [base, (_request, response) => sendIndex(response)],
    [`${base}profile`, cpu],
    [
      `${base}heap`,
      async (_request, response) => sendProfile(response, "heap", await encode(heap.profile())),
    ],
    [
      `${base}cmdline`,
      (_request, response) =>
        sendText(response, 200, [process.execPath, ...process.argv.slice(1)].join("\0")),
    ],
  ]);
  for (const name of absent) {
    routes.set(`${base}${name}`, (_request, response) =>
      refuse(response, 404, `Unknown profile: ${name} is of Go's runtime, and this is Node`),
    );
  }
  return { routes, [Symbol.dispose]: () => heap.stop() };
}

function secondsOf(request: IncomingMessage): number | undefined {
  const { searchParams } = new URL(request.url ?? "/", "http://localhost");
  const seconds = Number(searchParams.get("seconds") ?? defaultSeconds);
  return seconds >= 1 && seconds <= longestSeconds ? seconds : undefined;
}

function sendProfile(response: ServerResponse, name: string, body: Buffer): void {
  response
    .writeHead(200, {
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename="${name}"`,
      "x-content-type-options": "nosniff",
    })
    .end(body);
}

function sendIndex(response: ServerResponse): void {
  const lines = [
    "/debug/pprof/",
    "",
    "profile?seconds=30  CPU",
    "heap                live objects",
    "cmdline             how this process was started",
  ];
  sendText(response, 200, `${lines.join("\n")}\n`);
}

function refuse(response: ServerResponse, status: number, why: string): void {
  sendText(response, status, `${why}\n`);
}
