export {
  createAdminRoutes,
  createRequestListener,
  type HttpHandler,
  type HttpRoutes,
  sendText,
} from "./admin/admin-routes.ts";
export {
  type AdminAddress,
  type AdminServer,
  parseAdminAddress,
  startAdminServer,
} from "./admin/admin-server.ts";
export { createMetrics, type Metrics } from "./admin/metrics.ts";
export { createReadiness, type Readiness } from "./admin/readiness.ts";
export { type Clock, systemClock, type Timer } from "./clock.ts";
export { type Command, type CommandLine, parseCommandLine } from "./command.ts";
export { commonOptions } from "./common-options.ts";
export { ConfigError } from "./config-error.ts";
export { formatHostPort, type HostPort, parseListenAddress } from "./host-port.ts";
export { disposeAll, type Service } from "./lifecycle/service.ts";
export { notifyInit } from "./lifecycle/systemd.ts";
export { type LogFields, type Logger, type LogLevel, silentLogger } from "./logging/logger.ts";
export { createLogger, formatTimestamp } from "./logging/pino-logger.ts";
export { formatGoDuration, parseGoDuration } from "./options/go-duration.ts";
export { renderFlags, renderOptionsMarkdown } from "./options/help.ts";
export {
  boolOption,
  durationOption,
  intOption,
  type OptionSpec,
  type OptionTable,
  type OptionValues,
  stringOption,
  stringsOption,
  toEnvironmentName,
  uint32Option,
  uintOption,
} from "./options/option.ts";
export { type ParsedOptions, parseOptions } from "./options/parse-options.ts";
export { type AppContext, runApp } from "./run-app.ts";
export { parseCipherSuites } from "./tls/cipher-suites.ts";
export { type ClientTls, type ClientTlsOptions, loadClientTls } from "./tls/client-tls.ts";
export { readPem } from "./tls/pem-files.ts";
export { ensureSelfSigned } from "./tls/self-signed.ts";
export { loadServerTls, type ServerTls } from "./tls/server-tls.ts";
export { parseTlsVersions, type TlsVersions } from "./tls/tls-versions.ts";
export { upstreamTlsOptions } from "./tls/upstream-tls-options.ts";
export { loadUserTls, type UserTls } from "./tls/user-tls.ts";
export { version } from "./version.ts";
