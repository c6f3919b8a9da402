import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRpc } from "@etcd-edge/proto";
import {
  type CertificateAuthority,
  createAuthority,
  type EtcdCluster,
  enableAuth,
  findEtcdBinaries,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient } from "../src/etcd-client.ts";
import { auth } from "../src/methods.ts";
import { startTierProcess } from "../src/open-place.ts";
import { isAtLeast } from "../src/version-gate.ts";
import {
  createGrpcMatrixClient,
  createJsonMatrixClient,
  type MatrixClient,
  type Outcome,
} from "./permissions/matrix-client.ts";
import { type MatrixRequest, matrixRequests } from "./permissions/requests.ts";

/** Users by what they may do: read and write [a,b), read the key k, write [a,b) alone, nothing, everything. */
const users = ["nobody", "ann", "bob", "wendy", "root"] as const;
/** And who shows no token, or one that etcd has not given. */
const callers = ["no token", "a wrong token", ...users] as const;
type Caller = (typeof callers)[number];

/** A grant on one key lets an older etcd's watch see all that comes behind it; ours asks as for a read (rule 34). */
const watchLeak = { 3.5: 33, 3.6: 14, 3.7: 1 };

type Matrix = ReadonlyMap<string, Outcome>;

const binaries = await findEtcdBinaries();
/** The oldest and the newest: what a certificate's identity may do differs by tier, not by release. */
const ends = new Set([binaries.at(0), binaries.at(-1)]);

const jsonRequests = matrixRequests.filter(({ path }) => findRpc(path)?.http.length !== 0);

describe.each(binaries)("what users may do, by tier, etcd $version", (binary) => {
  let cluster: EtcdCluster;
  let folder: string;
  let authority: CertificateAuthority;
  let direct: Matrix;
  /** The same over a connection with a certificate that names nobody, to an etcd that asks for one. */
  let directByCertificate: Matrix;
  const tokens = new Map<Caller, string>([["a wrong token", "wrong.1"]]);
  const root = (...args: string[]) => cluster.etcdctl([...args, "--user=root:pw"]);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "etcd-edge-matrix-"));
    await writeFile(join(folder, "password"), "pw");
    authority = await createAuthority();
    const { certFile, keyFile } = await authority.issue({ name: "nameless" });
    cluster = await startEtcdCluster({
      binary,
      certAuth: { certFile, keyFile, trustedCaFile: authority.caFile },
      args: ["--bcrypt-cost=4"],
    });
    for (const key of ["a1", "k", "z"]) await cluster.etcdctl(["put", key, "v"]);
    await cluster.etcdctl(["put", "kk", "secret"]);
    // So that who may compact is told the same each time.
    await cluster.etcdctl(["compact", "1"]);
    await enableAuth(cluster, ["nobody", "ann", "bob", "wendy"]);
    for (const [role, kind, user, ...span] of [
      ["a", "readwrite", "ann", "a", "b"],
      ["k", "read", "bob", "k"],
      ["w", "write", "wendy", "a", "b"],
    ] as const) {
      await root("role", "add", role);
      await root("role", "grant-permission", role, kind, ...span);
      await root("user", "grant-role", user, role);
    }
    using client = new EtcdClient(cluster.endpoints[0] ?? "");
    for (const name of users)
      tokens.set(name, (await client.ask(auth.authenticate, { name, password: "pw" })).token);
    using straight = createGrpcMatrixClient(cluster.endpoints[0] ?? "");
    direct = await fill(straight, matrixRequests);
    const tls = { ca: authority.ca, cert: await readFile(certFile), key: await readFile(keyFile) };
    if (!ends.has(binary)) return;
    using shown = createGrpcMatrixClient(cluster.secureEndpoints[0] ?? "", tls);
    directByCertificate = await fill(shown, matrixRequests);
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  async function fill(client: MatrixClient, requests: readonly MatrixRequest[]): Promise<Matrix> {
    const matrix = new Map<string, Outcome>();
    for (const caller of callers) {
      // Some at a time, as clients do; cells of one caller do not see each other.
      for (let i = 0; i < requests.length; i += 16) {
        await Promise.all(
          requests.slice(i, i + 16).map(async (request) => {
            matrix.set(`${caller}: ${request.name}`, await client.ask(request, tokens.get(caller)));
          }),
        );
      }
    }
    return matrix;
  }

  /** The matrix of etcd itself, with the one cell in which ours is stricter than an older etcd. */
  function expected(etcd: Matrix, requests: readonly MatrixRequest[]): Matrix {
    const names = new Set(requests.map(({ name }) => name));
    const matrix = new Map([...etcd].filter(([cell]) => names.has(cell.slice(cell.indexOf(": ") + 2))));
    if (!isAtLeast(binary.version, watchLeak)) {
      expect(matrix.get("bob: watch from k")).toBe("created"); // the leak is there
      matrix.set(
        "bob: watch from k",
        "canceled rpc error: code = PermissionDenied desc = etcdserver: permission denied",
      );
    }
    return matrix;
  }

  /** Everything that is shared, held and kept is filled by who may see all of it. */
  async function warm(client: MatrixClient): Promise<void> {
    const reads = matrixRequests.filter(({ name }) => name.startsWith("get") || name.startsWith("watch"));
    for (let i = 0; i < 30; i++)
      await Promise.all(reads.map((request) => client.ask(request, tokens.get("root"))));
  }

  const doors: readonly (readonly [string, readonly (readonly [string, ...string[]])[]])[] = [
    ["grpc-proxy", [["grpc-proxy"]]],
    ["grpc-proxy with an identity of its own", [["grpc-proxy", "--user=root"]]],
    ["grpc-proxy → tcp-gateway", [["grpc-proxy"], ["tcp-gateway"]]],
    ["http-gateway", [["http-gateway"]]],
    [
      "http-gateway with an identity of its own → grpc-proxy",
      [["http-gateway", "--user=root"], ["grpc-proxy"]],
    ],
  ];

  it.each(doors)("%s: each cell is etcd's, cold and after root has read everything", async (_, tiers) => {
    await using undo = new AsyncDisposableStack();
    let upstream: readonly string[] = cluster.endpoints;
    for (const [tier, ...flags] of tiers.toReversed()) {
      const password = flags.length > 0 ? [`--password-file=${join(folder, "password")}`] : [];
      const own =
        tier === "grpc-proxy" ? ["--advertise-client-url=", ...flags, ...password] : [...flags, ...password];
      upstream = [await startTierProcess(tier, upstream, own, undo)];
    }
    const [address = ""] = upstream;
    const isJson = tiers[0]?.[0] === "http-gateway";
    const client = undo.use(
      isJson ? createJsonMatrixClient(`http://${address}`) : createGrpcMatrixClient(address),
    );
    const requests = isJson ? jsonRequests : matrixRequests;
    await isLikeEtcd(client, requests, direct);
  });

  it.each(ends.has(binary) ? (["grpc-proxy", "http-gateway"] as const) : [])(
    "rule 8: %s whose own identity is root's certificate: the same, and nobody is root",
    async (tier) => {
      await using undo = new AsyncDisposableStack();
      const nameless = await authority.issue({ name: "nameless" });
      const own = await authority.issue({ name: "root", subject: "CN=root" });
      const flags = [
        ...[`--cacert=${authority.caFile}`, `--cert=${nameless.certFile}`, `--key=${nameless.keyFile}`],
        ...[`--user-cert=${own.certFile}`, `--user-key=${own.keyFile}`],
        ...(tier === "grpc-proxy" ? ["--advertise-client-url="] : []),
      ];
      const address = await startTierProcess(tier, cluster.secureEndpoints, flags, undo);
      const isJson = tier === "http-gateway";
      const client = undo.use(
        isJson ? createJsonMatrixClient(`http://${address}`) : createGrpcMatrixClient(address),
      );
      const requests = isJson ? jsonRequests : matrixRequests;
      await isLikeEtcd(client, requests, directByCertificate);
    },
  );

  async function isLikeEtcd(
    client: MatrixClient,
    requests: readonly MatrixRequest[],
    etcd: Matrix,
  ): Promise<void> {
    const wanted = Object.fromEntries(expected(etcd, requests));
    expect(Object.fromEntries(await fill(client, requests))).toEqual(wanted);
    await warm(client);
    expect(Object.fromEntries(await fill(client, requests))).toEqual(wanted);
  }
});
