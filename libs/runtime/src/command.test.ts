import { describe, expect, it } from "vitest";
import { type Command, parseCommandLine } from "./command.ts";
import { boolOption, durationOption, intOption, stringOption, stringsOption } from "./options/option.ts";

const options = {
  listenAddr: stringOption({
    flag: "listen-addr",
    default: "127.0.0.1:1",
    doc: "listen address",
    since: "3.4",
  }),
  endpoints: stringsOption({
    flag: "endpoints",
    default: ["127.0.0.1:2379"],
    doc: "endpoints",
    since: "3.4",
  }),
  insecure: boolOption({ flag: "insecure", default: false, doc: "trust all", since: "3.4" }),
  retryDelay: durationOption({ flag: "retry-delay", default: 60_000, doc: "pause", since: "3.4" }),
  ttl: intOption({
    flag: "ttl",
    default: 0,
    doc: "seconds",
    since: "edge",
    check: (value) => (value >= 0 ? undefined : "invalid ttl: must not be negative"),
  }),
};
const command: Command<typeof options> = {
  name: "door",
  summary: "door related command",
  startSummary: "start the door",
  options,
};
const run = (
  argv: string[],
  env: Record<string, string> = {},
): ReturnType<typeof parseCommandLine<typeof options>> => parseCommandLine(command, argv, env);
const configOf = (argv: string[], env: Record<string, string> = {}): unknown => {
  const line = run(argv, env);
  return line.t === "run" ? line.config : line;
};

describe("a command line in pflag's syntax", () => {
  const defaults = {
    listenAddr: "127.0.0.1:1",
    endpoints: ["127.0.0.1:2379"],
    insecure: false,
    retryDelay: 60_000,
    ttl: 0,
  };

  it.each([
    ["no flags", ["start"], {}],
    ["--flag=value", ["start", "--listen-addr=a:1"], { listenAddr: "a:1" }],
    ["--flag value", ["start", "--listen-addr", "a:1"], { listenAddr: "a:1" }],
    ["flags before the sub-command", ["--endpoints=a:1", "start"], { endpoints: ["a:1"] }],
    ["a value before the sub-command", ["--endpoints", "a:1", "start"], { endpoints: ["a:1"] }],
    ["a bare bool takes no word", ["start", "--insecure", "false"], { insecure: true }],
    ["--bool=f", ["start", "--insecure=f"], { insecure: false }],
    ["lists split", ["start", "--endpoints=a:1,b:2"], { endpoints: ["a:1", "b:2"] }],
    ["lists repeat", ["start", "--endpoints=a:1", "--endpoints", "b:2"], { endpoints: ["a:1", "b:2"] }],
    ["an empty list", ["start", "--endpoints="], { endpoints: [] }],
    ["the last scalar wins", ["start", "--ttl=1", "--ttl=2"], { ttl: 2 }],
    ["-- ends the flags", ["start", "--", "--ttl=1"], {}],
    ["a value that looks like a flag", ["start", "--listen-addr", "--ttl"], { listenAddr: "--ttl" }],
    ["durations", ["start", "--retry-delay=1h"], { retryDelay: 3_600_000 }],
  ])("%s", (_name, argv, changed) => {
    expect(configOf(argv)).toEqual({ ...defaults, ...changed });
  });

  it("takes flag over environment over default", () => {
    const env = { EDGE_LISTEN_ADDR: "env:1", EDGE_ENDPOINTS: "env:2,env:3", ETCD_RETRY_DELAY: "1s" };
    expect(configOf(["start"], env)).toEqual({
      ...defaults,
      listenAddr: "env:1",
      endpoints: ["env:2", "env:3"],
    });
    expect(configOf(["start", "--listen-addr=flag:1", "--endpoints=flag:2"], env)).toEqual({
      ...defaults,
      listenAddr: "flag:1",
      endpoints: ["flag:2"],
    });
  });

  it("prints problems above and below the usage, as cobra does, and exits 1", () => {
    const line = run(["start", "--bogus"]);
    expect(line).toMatchObject({ t: "print", stream: "stderr", exitCode: 1 });
    const text = line.t === "print" ? line.text : "";
    expect(
      text.startsWith("Error: unknown flag: --bogus\nUsage:\n  etcd-edge door start [flags]\n\nFlags:\n"),
    ).toBe(true);
    expect(text.endsWith("\n\nunknown flag: --bogus")).toBe(true);
  });

  it("reports every problem at once", () => {
    const line = run(["start", "--retry-delay=5", "-x", "--ttl=-1", "--=1", "--endpoints"], {
      EDGE_INSECURE: "maybe",
    });
    expect(
      line.t === "print" ? line.text.split("\n").filter((row) => row.startsWith("Error: ")) : [],
    ).toEqual([
      'Error: invalid value "maybe" of environment variable EDGE_INSECURE: strconv.ParseBool: parsing "maybe": invalid syntax',
      'Error: invalid argument "5" for "--retry-delay" flag: time: missing unit in duration "5"',
      "Error: unknown shorthand flag: 'x' in -x",
      "Error: bad flag syntax: --=1",
      "Error: flag needs an argument: --endpoints",
      "Error: invalid ttl: must not be negative",
    ]);
  });

  it.each([["--help"], ["-h"]])("prints help of the sub-command for start %s", (flag) => {
    expect(run(["start", flag])).toEqual({
      t: "print",
      stream: "stdout",
      exitCode: 0,
      text: [
        "start the door",
        "",
        "Usage:",
        "  etcd-edge door start [flags]",
        "",
        "Flags:",
        "      --endpoints strings      endpoints (default [127.0.0.1:2379])",
        "  -h, --help                   help for start",
        "      --insecure               trust all",
        '      --listen-addr string     listen address (default "127.0.0.1:1")',
        "      --retry-delay duration   pause (default 1m0s)",
        "      --ttl int                seconds",
        "      --version                print the version and exit",
        "",
      ].join("\n"),
    });
  });

  it.each([[[]], [["bogus"]], [["--help"]]])("prints help of the group for %j", (argv) => {
    const line = run(argv);
    expect(line).toMatchObject({ t: "print", stream: "stdout", exitCode: 0 });
    expect(line.t === "print" ? line.text : "").toContain(
      "Available Commands:\n  start       start the door\n",
    );
  });

  it("prints the version", () => {
    expect(run(["--version"])).toMatchObject({
      stream: "stdout",
      exitCode: 0,
      text: expect.stringMatching(/^etcd-edge door \d/),
    });
  });
});
