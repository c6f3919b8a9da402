import { ConfigError } from "@etcd-edge/runtime";
import type { Config } from "./options.ts";

/** Checks that concern more than one flag. @throws ConfigError in etcd's words */
export function checkConfig(config: Config): void {
  const { maxSendBytes, maxRecvBytes } = config;
  if (maxRecvBytes > 0 && maxSendBytes > 0 && maxRecvBytes < maxSendBytes) {
    throw new ConfigError(
      `gRPC message recv limit (${maxRecvBytes} bytes) must be greater than send limit (${maxSendBytes} bytes)`,
    );
  }
}
