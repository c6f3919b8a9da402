import { describe, expect, it } from "vitest";
import { createLogger, formatTimestamp } from "./pino-logger.ts";

function capture(level: "debug" | "info" = "info"): {
  lines: string[];
  logger: ReturnType<typeof createLogger>;
} {
  const lines: string[] = [];
  return { lines, logger: createLogger({ level, stream: { write: (line) => void lines.push(line) } }) };
}

describe("createLogger", () => {
  it("writes level, ts, msg, then the fields, one JSON object a line", () => {
    const { lines, logger } = capture();
    logger
      .child({ tier: "door" })
      .warn("deactivated endpoint", { address: "a:1", error: new Error("refused"), id: 7n });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^\{"level":"warn","ts":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","msg":"deactivated endpoint","tier":"door","address":"a:1","error":"refused","id":"7"\}\n$/,
    );
  });

  it("leaves out what is below its level", () => {
    const { lines, logger } = capture();
    logger.debug("unseen");
    expect(lines).toEqual([]);
    expect(logger.isEnabled("debug")).toBe(false);
    expect(capture("debug").logger.isEnabled("debug")).toBe(true);
  });

  it("keeps a newline inside its line", () => {
    const { lines, logger } = capture();
    logger.info("a\nb");
    expect(lines[0]?.split("\n")).toHaveLength(2);
  });
});

describe("formatTimestamp", () => {
  it("writes RFC 3339 with microseconds", () => {
    expect(formatTimestamp(Date.UTC(2026, 0, 2, 3, 4, 5, 6) + 0.789)).toBe("2026-01-02T03:04:05.006789Z");
  });
});
