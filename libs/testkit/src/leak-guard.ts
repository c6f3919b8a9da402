import { afterAll, beforeAll, expect } from "vitest";

/** Kinds of open things, by Node's names, that a test file must not leave behind. */
const watched: readonly string[] = [
  "ProcessWrap",
  "PipeServerWrap",
  "TCPServerWrap",
  "TCPSocketWrap",
  "TLSWrap",
  "UDPWrap",
];
const settleMs = 3_000;

/**
 * A vitest set-up file: fails a test file that ends with more sockets, servers or child processes open than it began
 * with. What is closing gets three seconds to be closed.
 */
function countOpen(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (watched.includes(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

function leaked(before: Record<string, number>): string[] {
  return Object.entries(countOpen())
    .filter(([kind, count]) => count > (before[kind] ?? 0))
    .map(([kind, count]) => `${kind}: ${count}, was ${before[kind] ?? 0}`);
}

let before: Record<string, number> = {};

beforeAll(() => {
  before = countOpen();
});

afterAll(async () => {
  const deadline = Date.now() + settleMs;
  while (leaked(before).length > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(leaked(before), "left open by this test file").toEqual([]);
});
