import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  type EtcdBinary,
  findEtcdBinaries,
  requireProgram,
  startEtcdCluster,
  startProgram,
} from "@etcd-edge/testkit";
import { expect, it } from "vitest";

// The lines of every tutorial about etcd's JSON, as they are written there but for the port: through the gateway alone and
// through each chain of tiers behind it.

const launcher = fileURLToPath(new URL("../../launcher/bin/etcd-edge.mjs", import.meta.url));
const binaries = await findEtcdBinaries();
const newest = binaries.at(-1);
const oldest = binaries[0];
if (newest === undefined || oldest === undefined) throw new Error("no etcd to test with");

const places: readonly (readonly [string, EtcdBinary, readonly string[]])[] = [
  ["etcd", oldest, []],
  ["etcd", newest, []],
  ["grpc-proxy", newest, ["grpc-proxy"]],
  ["tcp-gateway", newest, ["gateway"]],
  ["grpc-proxy, tcp-gateway", newest, ["grpc-proxy", "gateway"]],
  ["grpc-proxy, tcp-gateway", oldest, ["grpc-proxy", "gateway"]],
];

async function startTier(
  tier: string,
  upstream: readonly string[],
  stack: AsyncDisposableStack,
  flags: readonly string[],
) {
  const args = [tier, "start", `--endpoints=${upstream.join(",")}`, "--listen-addr=127.0.0.1:0", ...flags];
  const program = stack.use(startProgram(process.execPath, [launcher, ...args]));
  const ready = { "grpc-proxy": "started gRPC proxy", gateway: "ready to proxy client requests" }[tier];
  const line = JSON.parse(await program.waitForLine(ready ?? "ready to serve client requests")) as Record<
    string,
    string
  >;
  return (line["listen-addr"] ?? line["address"] ?? "").replace(/^http:\/\//, "");
}

/** Runs a line in a shell. @returns what it prints */
async function run(line: string): Promise<string> {
  const child = spawn("/bin/sh", ["-c", line], { stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  await once(child, "close");
  return output;
}

const named = places.map(([name, binary, tiers]) => [name, binary.version, binary, tiers] as const);

it.each(named)("curl, through http-gateway → %s, etcd %s", async (_name, _version, binary, tiers) => {
  await requireProgram("curl");
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startEtcdCluster({ binary }));
  let upstream: readonly string[] = cluster.endpoints;
  for (const tier of tiers.toReversed()) {
    const flags = tier === "grpc-proxy" ? ["--advertise-client-url="] : [];
    upstream = [await startTier(tier, upstream, stack, flags)];
  }
  const address = await startTier("http-gateway", upstream, stack, ["--json-profile=v1"]);
  const door = `http://${address.replace("127.0.0.1", "localhost")}`;

  expect(await run(`curl -L ${door}/v3/kv/put -X POST -d '{"key": "Zm9v", "value": "YmFy"}'`)).toContain(
    '"revision":"2"',
  );
  expect(await run(`curl -L ${door}/v3/kv/range -X POST -d '{"key": "Zm9v"}'`)).toContain(
    '"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"}],"count":"1"}',
  );
  expect(
    await run(`curl -L ${door}/v3/kv/range -X POST -d '{"key": "Zm9v", "range_end": "Zm9w"}'`),
  ).toContain('"count":"1"');

  const watch = spawn("curl", [
    "-sN",
    `${door}/v3/watch`,
    "-X",
    "POST",
    "-d",
    '{"create_request": {"key":"Zm9v"} }',
  ]);
  const seen: string[] = [];
  const lines = watch.stdout.setEncoding("utf8").on("data", (text: string) => seen.push(text));
  while (!seen.join("").includes('"created":true')) await once(lines, "data");
  await run(`curl -L ${door}/v3/kv/put -X POST -d '{"key": "Zm9v", "value": "YmFy"}' >/dev/null 2>&1`);
  while (!seen.join("").includes('"mod_revision":"3"')) await once(lines, "data");
  watch.kill();
  await once(watch, "close");

  const txn =
    '{"compare":[{"target":"CREATE","key":"Zm9v","createRevision":"2"}],"success":[{"requestPut":{"key":"Zm9v","value":"YmFy"}}]}';
  expect(await run(`curl -L ${door}/v3/kv/txn -X POST -d '${txn}'`)).toContain(
    '"succeeded":true,"responses":[{"response_put":{"header":{"revision":"4"}}}]}',
  );

  expect(
    await run(`curl -L ${door}/v3/auth/user/add -X POST -d '{"name": "root", "password": "pass"}'`),
  ).toContain('{"header":{');
  expect(await run(`curl -L ${door}/v3/auth/role/add -X POST -d '{"name": "root"}'`)).toContain(
    '{"header":{',
  );
  expect(
    await run(`curl -L ${door}/v3/auth/user/grant -X POST -d '{"user": "root", "role": "root"}'`),
  ).toContain('{"header":{');
  expect(await run(`curl -L ${door}/v3/auth/enable -X POST -d '{}'`)).toContain('{"header":{');
  const answer = await run(
    `curl -L ${door}/v3/auth/authenticate -X POST -d '{"name": "root", "password": "pass"}'`,
  );
  const { token } = JSON.parse(answer) as { token: string };
  const put = `-X POST -d '{"key": "Zm9v", "value": "YmFy"}'`;
  expect(await run(`curl -L ${door}/v3/kv/put -H 'Authorization: ${token}' ${put}`)).toContain(
    '"revision":"5"',
  );
  expect(await run(`curl -L ${door}/v3/kv/put -H 'Authorization: nobodys.1' ${put}`)).toBe(
    '{"error":"etcdserver: invalid auth token","code":16,"message":"etcdserver: invalid auth token"}',
  );
  expect(await run(`curl -L ${door}/v3/kv/put ${put}`)).toContain("etcdserver: user name is empty");
});
