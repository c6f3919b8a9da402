import { durationOption, type OptionSpec, stringOption } from "./options/option.ts";

const logLevels: readonly string[] = ["debug", "info", "warn", "error"];

/** Rows that every tier's table has. */
export const commonOptions: {
  readonly metricsAddr: OptionSpec<"string">;
  readonly logLevel: OptionSpec<"string">;
  readonly shutdownGracePeriod: OptionSpec<"duration">;
} = {
  metricsAddr: stringOption({
    flag: "metrics-addr",
    default: "",
    doc: "listen for endpoint /metrics requests on an additional interface",
    since: "edge",
  }),
  logLevel: stringOption({
    flag: "log-level",
    default: "info",
    doc: "lowest level that is logged: debug, info, warn or error",
    since: "edge",
    check: (value) =>
      logLevels.includes(value)
        ? undefined
        : `invalid argument ${JSON.stringify(value)} for "--log-level" flag: must be one of ${logLevels.join(", ")}`,
  }),
  shutdownGracePeriod: durationOption({
    flag: "shutdown-grace-period",
    default: 25_000,
    doc: "longest time to let connections finish after SIGTERM or SIGINT before they are cut",
    since: "edge",
    check: (value) =>
      value >= 0 ? undefined : 'invalid argument for "--shutdown-grace-period" flag: must not be negative',
  }),
};
