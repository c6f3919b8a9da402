import { type Command, parseCommandLine } from "./command.ts";
import { ConfigError } from "./config-error.ts";
import type { Service } from "./lifecycle/service.ts";
import { listenForEnd } from "./lifecycle/signals.ts";
import { notifyInit } from "./lifecycle/systemd.ts";
import type { Logger, LogLevel } from "./logging/logger.ts";
import { createLogger } from "./logging/pino-logger.ts";
import type { OptionTable, OptionValues } from "./options/option.ts";

/** What an app is started with besides its configuration. */
export interface AppContext {
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The values every config has, through `commonOptions`. */
interface CommonConfig {
  readonly logLevel: string;
  readonly shutdownGracePeriod: number;
  readonly debug?: boolean;
}

/**
 * The life of an app's process: read the command line, start, say READY=1, wait for SIGTERM or SIGINT, say STOPPING=1,
 * drain for at most the grace period, dispose. Sets the exit code: 0 after a drained or cut shutdown, 1 where the
 * configuration or the start failed. Never throws.
 */
export async function runApp<T extends OptionTable>(
  command: Command<T>,
  start: (config: OptionValues<T>, context: AppContext) => Promise<Service>,
): Promise<void> {
  const argv = process.argv.slice(2);
  const line = parseCommandLine(command, argv, process.env);
  if (line.t === "print") {
    process[line.stream].write(line.text);
    process.exitCode = line.exitCode;
    return;
  }
  // Every table spreads commonOptions; the cast says so to the compiler once.
  const common = line.config as unknown as CommonConfig;
  const level = common.debug === true ? "debug" : (common.logLevel as LogLevel);
  const logger = createLogger({ level });
  logger.info("Running: ", { args: ["etcd-edge", command.name, ...argv] });
  try {
    using end = listenForEnd();
    await using service = await start(line.config, { logger, env: process.env });
    await notifyInit("READY=1", logger, process.env);
    const signal = await end.ended;
    logger.info("shutting down", { signal, "grace-period-ms": common.shutdownGracePeriod });
    await notifyInit("STOPPING=1", logger, process.env);
    await drain(service, common.shutdownGracePeriod, logger);
  } catch (error) {
    process.exitCode = 1;
    reportFailure(error, logger);
  }
}

async function drain(service: Service, gracePeriodMs: number, logger: Logger): Promise<void> {
  const deadline = AbortSignal.timeout(gracePeriodMs);
  await service.drain(deadline);
  if (deadline.aborted) logger.warn("grace period is over, closing what is left");
  else logger.info("drained");
}

function reportFailure(error: unknown, logger: Logger): void {
  if (error instanceof ConfigError) {
    process[error.stream].write(error.newline ? `${error.message}\n` : error.message);
    return;
  }
  logger.error("failed", { error, stack: error instanceof Error ? error.stack : undefined });
}
