import { ConfigError } from "@etcd-edge/runtime";
import { type Config, options } from "./options.ts";

/** Flags of etcd's that this version knows and does not serve. Set to anything but their default, they are refused. */
const refused: readonly (keyof Config & keyof typeof options)[] = ["experimentalLeasingPrefix"];

/** @throws ConfigError that names every such flag at once: running without what was asked for would mislead */
export function refuseUnservedOptions(config: Config): void {
  const asked = refused.filter(
    (name) => JSON.stringify(config[name]) !== JSON.stringify(options[name].default),
  );
  if (asked.length === 0) return;
  const lines = asked.map((name) => `--${options[name].flag} is not supported by this version of etcd-edge`);
  throw new ConfigError(lines.join("\n"));
}
