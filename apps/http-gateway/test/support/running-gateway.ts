import { type Logger, type OptionValues, parseOptions, silentLogger } from "@etcd-edge/runtime";
import { type HttpGateway, startHttpGateway } from "../../src/app.ts";
import { options } from "../../src/options.ts";

/** The gateway as its command line starts it, on a port of its own, in this process. */
export async function startGateway(
  endpoints: readonly string[],
  flags: readonly string[] = [],
  logger: Logger = silentLogger,
): Promise<HttpGateway> {
  const argv = ["start", `--endpoints=${endpoints.join(",")}`, "--listen-addr=127.0.0.1:0", ...flags];
  const parsed = parseOptions(options, argv, {});
  if (parsed.t !== "values") throw new Error(`bad flags: ${JSON.stringify(parsed)}`);
  const config: OptionValues<typeof options> = parsed.values;
  return await startHttpGateway(config, { logger, env: {} });
}
