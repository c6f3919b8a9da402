import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type EtcdCluster, findEtcdBinaries, requireProgram, startEtcdCluster } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HttpGateway } from "../src/app.ts";
import { startGateway } from "./support/running-gateway.ts";

// Clients that others wrote, as they are installed.

const execute = promisify(execFile);
const binaries = await findEtcdBinaries();

/** Asks for everything that python3-etcd3gw can ask for, and prints one line of JSON. */
const etcd3gwScript = `
import etcd3gw, json, sys
c = etcd3gw.client(host='127.0.0.1', port=int(sys.argv[1]))
out = {}
out['put'] = c.put('k', 'v')
out['get'] = [v.decode() for v in c.get('k')]
out['prefix'] = [[v.decode(), m['key'].decode()] for v, m in c.get_prefix('k')]
lease = c.lease(ttl=30)
out['refresh'] = lease.refresh()
c.put('leased', 'x', lease=lease)
out['keys'] = [k.decode() for k in lease.keys()]
out['revoke'] = lease.revoke()
events, cancel = c.watch('w')
c.put('w', '1')
out['event'] = next(events)['kv']['value'].decode()
cancel()
lock = c.lock('l', ttl=10)
out['lock'] = [lock.acquire(), lock.release()]
txn = {'compare': [{'key': 'aw==', 'result': 'EQUAL', 'target': 'VALUE', 'value': 'dg=='}],
       'success': [{'request_range': {'key': 'aw=='}}]}
out['txn'] = c.transaction(txn)['succeeded']
out['delete'] = c.delete('k')
out['members'] = len(c.members())
print(json.dumps(out))
`;

describe.each(binaries.map((binary) => [binary.version, binary] as const))(
  "in front of etcd %s",
  (_, binary) => {
    let cluster: EtcdCluster;
    let gateway: HttpGateway;

    beforeAll(async () => {
      cluster = await startEtcdCluster({ binary });
      gateway = await startGateway(cluster.endpoints);
    });

    afterAll(async () => {
      await gateway[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    });

    it("serves python3-etcd3gw, which asks under /v3alpha", async () => {
      const port = new URL(gateway.url).port;
      const { stdout } = await execute("/usr/bin/python3", ["-c", etcd3gwScript, port]);
      expect(JSON.parse(stdout)).toEqual({
        put: true,
        get: ["v"],
        prefix: [["v", "k"]],
        refresh: 30,
        keys: ["leased"],
        revoke: true,
        event: "1",
        lock: [true, true],
        txn: true,
        delete: true,
        members: 1,
      });
    });

    it("serves curl as tutorials have it: -L, -d, no content type; --http2; a body that waits for 100 Continue", async () => {
      const curl = await requireProgram("curl");
      const ask = async (...args: string[]): Promise<string> =>
        (await execute(curl, ["-sS", "--max-time", "20", ...args], { maxBuffer: 16 << 20 })).stdout;
      const put = await ask(
        "-L",
        `${gateway.url}/v3/kv/put`,
        "-X",
        "POST",
        "-d",
        '{"key": "Zm9v", "value": "YmFy"}',
      );
      expect(put).toContain('"revision":"');
      const redirected = await ask("-L", `${gateway.url}/v3//kv/range`, "-d", '{"key":"Zm9v"}');
      expect(redirected).toContain('"value":"YmFy"');
      expect(await ask("--http2", `${gateway.url}/v3/kv/range`, "-d", '{"key":"Zm9v"}')).toContain(
        '"value":"YmFy"',
      );
      const large = `{"key":"YmlnCg==","value":"${"QUJD".repeat(300_000)}"}`;
      const folder = await mkdtemp(join(tmpdir(), "etcd-edge-curl-"));
      try {
        const file = join(folder, "body.json");
        await writeFile(file, large);
        const answer = await ask("-H", "Expect: 100-continue", `${gateway.url}/v3/kv/put`, "-d", `@${file}`);
        expect(answer).toContain('"revision":"');
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  },
);
