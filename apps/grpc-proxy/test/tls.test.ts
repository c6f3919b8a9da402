import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import {
  type CertificateAuthority,
  createAuthority,
  type EtcdCluster,
  findEtcdBinaries,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Config } from "../src/options.ts";
import { EventLog } from "./event-log.ts";
import { startProxy } from "./proxy-under-test.ts";

const binary = (await findEtcdBinaries()).at(-1);
const status = "/etcdserverpb.Maintenance/Status";
const empty = new Uint8Array(0);

describe("TLS", () => {
  let authority: CertificateAuthority;
  let plain: EtcdCluster;

  beforeAll(async () => {
    if (binary === undefined) throw new Error("no etcd is installed");
    authority = await createAuthority();
    plain = await startEtcdCluster({ binary });
  });
  afterAll(async () => {
    await plain[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
  });

  /** A proxy on TLS in front of a plain etcd, whose files are this test's own. */
  const startTls = async (name: string, changed: Partial<Config> = {}) => {
    const files = await authority.issue({ name });
    const log = new EventLog();
    const proxy = await startProxy({ endpoints: plain.endpoints, ...files, ...changed }, log.logger);
    return { proxy, log, files };
  };
  const handshake = async (port: number, options: ConnectionOptions = {}): Promise<TLSSocket> => {
    const socket = connect({ host: "127.0.0.1", port, ca: authority.ca, ALPNProtocols: ["h2"], ...options });
    await once(socket, "secureConnect");
    return socket;
  };
  const serialAt = async (port: number): Promise<string> => {
    const socket = await handshake(port);
    const serial = socket.getPeerX509Certificate()?.serialNumber ?? "";
    socket.destroy();
    return serial.toLowerCase();
  };
  const channelTo = (port: number, tls: ConnectionOptions = {}): Channel =>
    new Channel({ endpoint: { host: "127.0.0.1", port }, tls: { ca: authority.ca, ...tls } });
  const askStatus = (channel: Channel) =>
    channel.unaryCall(status, [], empty, { deadlineAt: performance.now() + 60_000 });

  it("serves new certificates from the next handshake on, and no call fails meanwhile", async () => {
    const { proxy, files } = await startTls("rotating");
    await using _ = proxy;
    const { port } = proxy.address;
    const channel = channelTo(port);
    await using _channel = channel;
    let isOver = false;
    const traffic = (async () => {
      let calls = 0;
      while (!isOver) {
        await askStatus(channel);
        calls++;
      }
      return calls;
    })();
    expect(await serialAt(port)).toBe(files.serialNumber);
    for (let round = 0; round < 5; round++) {
      // Key and certificate are written one after the other: between the two nothing may break.
      const writing = authority.issue({ name: "rotating" });
      await serialAt(port);
      const { serialNumber } = await writing;
      expect(await serialAt(port)).toBe(serialNumber);
    }
    isOver = true;
    expect(await traffic).toBeGreaterThan(0);
  });

  it("keeps its certificate while the files are no pair", async () => {
    const { proxy, log, files } = await startTls("broken");
    await using _ = proxy;
    await writeFile(files.certFile, "no certificate");
    expect(await serialAt(proxy.address.port)).toBe(files.serialNumber);
    await log.waitFor("kept the TLS files of the listener: the new ones are not fit for use");
  });

  it("wants client certificates of the CA, also of one that is put in its place", async () => {
    await using other = await createAuthority("CN=other ca");
    const trustedCaFile = join(authority.folder, "client-ca.pem");
    await writeFile(trustedCaFile, authority.ca);
    const { proxy } = await startTls("mutual", { trustedCaFile });
    await using _ = proxy;
    const { port } = proxy.address;
    const ours = await clientOf(authority);
    const theirs = await clientOf(other);
    const tryWith = async (tls: ConnectionOptions): Promise<boolean> => {
      await using channel = channelTo(port, tls);
      return await askStatus(channel).then(
        () => true,
        () => false,
      );
    };
    expect(await Promise.all([tryWith({}), tryWith(ours), tryWith(theirs)])).toEqual([false, true, false]);
    await writeFile(trustedCaFile, other.ca);
    expect(await Promise.all([tryWith(ours), tryWith(theirs)])).toEqual([false, true]);
  });

  it("refuses a client from the moment it is on the revocation list", async () => {
    const alice = await authority.issue({ name: "alice", subject: "CN=alice" });
    const bob = await authority.issue({ name: "bob", subject: "CN=bob" });
    const clientCrlFile = await authority.revoke([]);
    const { proxy, log } = await startTls("revoking", { trustedCaFile: authority.caFile, clientCrlFile });
    await using _ = proxy;
    const pem = async (who: typeof alice): Promise<ConnectionOptions> => ({
      cert: await readFile(who.certFile),
      key: await readFile(who.keyFile),
    });
    const tryAs = async (who: typeof alice): Promise<boolean> => {
      await using channel = channelTo(proxy.address.port, await pem(who));
      return await askStatus(channel).then(
        () => true,
        () => false,
      );
    };
    expect([await tryAs(alice), await tryAs(bob)]).toEqual([true, true]);
    await authority.revoke([alice.serialNumber]);
    expect([await tryAs(alice), await tryAs(bob)]).toEqual([false, true]);
    await log.waitFor("refused a revoked client certificate");
    // What cannot be read lets nobody in.
    await writeFile(clientCrlFile, "no list");
    expect([await tryAs(alice), await tryAs(bob)]).toEqual([false, false]);
    await authority.revoke([bob.serialNumber]);
    expect([await tryAs(alice), await tryAs(bob)]).toEqual([true, false]);
  });

  it("refuses a revoked client that resumes its session", async () => {
    const carol = await authority.issue({ name: "carol", subject: "CN=carol" });
    const clientCrlFile = await authority.revoke([]);
    const { proxy } = await startTls("resuming", { trustedCaFile: authority.caFile, clientCrlFile });
    await using _ = proxy;
    const { port } = proxy.address;
    const pem = { cert: await readFile(carol.certFile), key: await readFile(carol.keyFile) };
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      await authority.revoke([]);
      const first = connect({
        host: "127.0.0.1",
        port,
        ca: authority.ca,
        ALPNProtocols: ["h2"],
        maxVersion,
        ...pem,
      });
      const [session] = (await once(first, "session")) as [Buffer];
      first.destroy();
      await authority.revoke([carol.serialNumber]);
      const again = await handshake(port, { ...pem, session, maxVersion });
      again.resume();
      await once(again, "close");
    }
  });

  it("offers the suites and versions that it was told to", async () => {
    const listenCipherSuites = ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"];
    const { proxy } = await startTls("suites", { listenCipherSuites, tlsMaxVersion: "TLS1.2" });
    await using _ = proxy;
    const { port } = proxy.address;
    const socket = await handshake(port);
    expect(socket.getCipher().standardName).toBe(listenCipherSuites[0]);
    expect(socket.getProtocol()).toBe("TLSv1.2");
    socket.destroy();
    await expect(handshake(port, { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })).rejects.toThrow(
      /handshake failure/,
    );
    await expect(handshake(port, { minVersion: "TLSv1.3" })).rejects.toThrow(/protocol version/);
  });

  it.each([
    [{ listenCipherSuites: ["NONE"] }, 'unexpected TLS cipher suite "NONE"'],
    [
      { listenCipherSuites: ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], tlsMinVersion: "TLS1.3" },
      "cipher suites cannot be configured when only TLS1.3 is enabled",
    ],
    [
      { autoTls: true, selfSignedCertValidity: 0 },
      "selfSignedCertValidity is invalid,it should be greater than 0",
    ],
    [
      { trustedCaFile: "/ca.pem" },
      "cannot listen on TLS for 127.0.0.1:0: KeyFile and CertFile are not presented",
    ],
  ])("refuses %o", async (changed, message) => {
    await expect(startProxy(changed)).rejects.toMatchObject({ code: "CONFIG", message });
  });

  it("starts with cipher suites and no TLS, as newer proxies of etcd's do, and says so", async () => {
    const log = new EventLog();
    const listenCipherSuites = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"];
    await using proxy = await startProxy({ endpoints: plain.endpoints, listenCipherSuites }, log.logger);
    expect(proxy.address.port).toBeGreaterThan(0);
    expect(log.count("--listen-cipher-suites has no effect without TLS")).toBe(1);
  });

  it("signs its own certificate with --auto-tls, for as long as asked, and uses it again", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "etcd-edge-auto-tls-"));
    const changed = { endpoints: plain.endpoints, autoTls: true, dataDir, selfSignedCertValidity: 3 };
    const seen: string[] = [];
    for (let start = 0; start < 2; start++) {
      await using proxy = await startProxy(changed);
      await using channel = channelTo(proxy.address.port, { rejectUnauthorized: false });
      await askStatus(channel);
      const socket = await handshake(proxy.address.port, { rejectUnauthorized: false });
      seen.push(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
      socket.destroy();
    }
    expect(seen[0]).toBe(seen[1]);
    const folder = join(dataDir, "fixtures", "proxy");
    const certificate = new X509Certificate(await readFile(join(folder, "cert.pem")));
    expect(certificate.subject).toBe("O=etcd");
    expect(certificate.subjectAltName).toBe("IP Address:127.0.0.1");
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe("secp521r1");
    const years = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / (365 * 86_400_000);
    expect(years).toBe(3);
    expect((await stat(join(folder, "key.pem"))).mode & 0o777).toBe(0o600);
    await rm(dataDir, { recursive: true });
  });

  it("shows etcd a new client certificate when it dials again, but never one with a Common Name (rule 8)", async () => {
    if (binary === undefined) throw new Error("no etcd is installed");
    const server = await authority.issue({ name: "etcd" });
    const first = await authority.issue({ name: "toward-etcd", subject: "O=edge" });
    await using guarded = await startEtcdCluster({ binary, tls: server });
    const log = new EventLog();
    const toward = { cacert: authority.caFile, cert: first.certFile, key: first.keyFile };
    await using proxy = await startProxy({ endpoints: guarded.endpoints, ...toward }, log.logger);
    await using channel = new Channel({ endpoint: { host: "127.0.0.1", port: proxy.address.port } });
    await askStatus(channel);
    await authority.issue({ name: "toward-etcd", subject: "CN=root" });
    await guarded.members[0]?.restart();
    await log.waitFor("kept the TLS files for connections to etcd: the new ones are not fit for use");
    await authority.issue({ name: "toward-etcd", subject: "O=edge" });
    await guarded.members[0]?.restart();
    await log.waitFor("read the TLS files for connections to etcd again");
  });
});

async function clientOf(authority: CertificateAuthority): Promise<ConnectionOptions> {
  const { certFile, keyFile } = await authority.issue({ name: "client" });
  return { cert: await readFile(certFile), key: await readFile(keyFile) };
}
