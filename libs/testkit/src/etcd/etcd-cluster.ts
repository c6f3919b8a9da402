import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { EtcdBinary } from "../binaries/etcd-binaries.ts";
import { findFreePorts } from "../process/free-ports.ts";
import { type EtcdMember, type MemberPlan, startEtcdMember } from "./etcd-member.ts";

const execute = promisify(execFile);

export interface EtcdClusterOptions {
  readonly binary: EtcdBinary;
  /** Default 1. */
  readonly members?: 1 | 3;
  /** More flags for every member: `["--auth-token=jwt,…"]`. */
  readonly args?: readonly string[];
  /** Server certificate files: client URLs become https. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly trustedCaFile?: string };
  /**
   * A second listener of every member, with TLS, that wants client certificates of that authority and takes their Common Name for a
   * user (`--client-cert-auth`). Members advertise it, and are healthy and asked by etcdctl at the first, in plaintext.
   */
  readonly certAuth?: { readonly certFile: string; readonly keyFile: string; readonly trustedCaFile: string };
  /** First client port; members take it and the two after it in steps of 10. Default: free ports. */
  readonly basePort?: number;
  /** Kept when disposed. Default: a temporary folder that is removed. */
  readonly dataDir?: string;
  /** Members get process groups of their own, out of reach of the terminal's Ctrl-C. Default false. */
  readonly detached?: boolean;
}

/** A real etcd cluster on 127.0.0.1. Disposing kills its processes and removes its temporary data; twice is fine. */
export interface EtcdCluster extends AsyncDisposable {
  readonly binary: EtcdBinary;
  readonly members: readonly EtcdMember[];
  /** `host:port` of every member, as `--endpoints` takes it. */
  readonly endpoints: readonly string[];
  /** The same of the listeners of `certAuth`; empty without it. */
  readonly secureEndpoints: readonly string[];
  /** Runs etcdctl of the same version, patiently. @throws the error of execFile, with stdout and stderr */
  etcdctl(
    args: readonly string[],
    endpoints?: readonly string[],
  ): Promise<{ stdout: string; stderr: string }>;
}

const attempts = 5;

/** Starts a cluster and waits until every member is healthy. */
export async function startEtcdCluster(options: EtcdClusterOptions): Promise<EtcdCluster> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryStart(options);
    } catch (error) {
      // Somebody took a port between our look and etcd's bind: look again. With ports asked for it is the answer.
      const taken = /address already in use/.test(String(error));
      if (!taken || attempt === attempts || options.basePort !== undefined) throw error;
    }
  }
}

async function tryStart(options: EtcdClusterOptions): Promise<EtcdCluster> {
  const { binary } = options;
  await using undo = new AsyncDisposableStack();
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "etcd-edge-cluster-")));
  if (options.dataDir === undefined) undo.defer(() => rm(dataDir, { recursive: true, force: true }));
  const plans = await planMembers(options, dataDir);
  const members = plans.map((plan) => undo.use(startEtcdMember(plan)));
  await Promise.all(members.map((member) => member.healthy()));
  const endpoints = members.map((member) => member.clientAddress);
  const owned = undo.move();
  return {
    binary,
    members,
    endpoints,
    secureEndpoints: plans.flatMap(({ secureAddress }) => secureAddress ?? []),
    etcdctl: (args, through = endpoints) =>
      execute(binary.etcdctl, [`--endpoints=${through.join(",")}`, ...patience, ...args], {
        env: { ...process.env, ETCDCTL_API: "3" },
        maxBuffer: 64 << 20,
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** etcdctl's own are 2 and 5 s, less than an election takes on a machine that is busy. What is given in `args` counts. */
const patience = ["--dial-timeout=20s", "--command-timeout=40s"];

async function planMembers(
  options: EtcdClusterOptions,
  dataDir: string,
): Promise<(MemberPlan & { readonly secureAddress?: string })[]> {
  const count = options.members ?? 1;
  const { basePort } = options;
  const ports =
    basePort === undefined
      ? await findFreePorts(count * 2)
      : Array.from({ length: count * 2 }, (_, i) => basePort + (i % count) * 10 + (i < count ? 0 : 1));
  const scheme = options.tls === undefined ? "http" : "https";
  const rows = Array.from({ length: count }, (_, i) => ({
    name: `m${i + 1}`,
    clientUrl: `${scheme}://127.0.0.1:${ports[i]}`,
    peerUrl: `http://127.0.0.1:${ports[count + i]}`,
  }));
  const securePorts = options.certAuth === undefined ? [] : await findFreePorts(count);
  const initialCluster = rows.map((row) => `${row.name}=${row.peerUrl}`).join(",");
  return rows.map((row, i) => ({
    ...row,
    ...(options.certAuth && { secureAddress: `127.0.0.1:${securePorts[i]}` }),
    program: options.binary.etcd,
    detached: options.detached ?? false,
    args: [
      `--name=${row.name}`,
      `--data-dir=${join(dataDir, row.name)}`,
      `--listen-client-urls=${row.clientUrl}`,
      `--advertise-client-urls=${row.clientUrl}`,
      `--listen-peer-urls=${row.peerUrl}`,
      `--initial-advertise-peer-urls=${row.peerUrl}`,
      `--initial-cluster=${initialCluster}`,
      `--initial-cluster-token=${dataDir}`,
      "--initial-cluster-state=new",
      "--logger=zap",
      ...tlsArgs(options.tls ?? options.certAuth),
      ...(options.certAuth === undefined ? [] : secondListener(row.clientUrl, securePorts[i])),
      ...(options.args ?? []),
    ],
  }));
}

/** Of two flags of one name the last one counts. */
function secondListener(first: string, port: number | undefined): string[] {
  const second = `https://127.0.0.1:${port}`;
  return [`--listen-client-urls=${first},${second}`, `--advertise-client-urls=${second}`];
}

function tlsArgs(tls: EtcdClusterOptions["tls"]): string[] {
  if (tls === undefined) return [];
  const args = [`--cert-file=${tls.certFile}`, `--key-file=${tls.keyFile}`];
  if (tls.trustedCaFile !== undefined) {
    args.push(`--trusted-ca-file=${tls.trustedCaFile}`, "--client-cert-auth");
  }
  return args;
}
