export { cacheFolder } from "./binaries/cache-folder.ts";
export { ensureEtcd, ensureNewestDebianEtcd, type Progress } from "./binaries/ensure-etcd.ts";
export { compareVersions, type EtcdBinary, findEtcdBinaries } from "./binaries/etcd-binaries.ts";
export { ensureGoBuiltEtcds } from "./binaries/go-etcd.ts";
export { ensureTestPrograms, findProgram, requireProgram } from "./binaries/test-programs.ts";
export {
  type FakeResolver,
  type Reply,
  rcode,
  srvAnswer,
  startFakeResolver,
} from "./dns/fake-resolver.ts";
export { countCallsAtEtcd } from "./etcd/calls-at-etcd.ts";
export { enableAuth } from "./etcd/enable-auth.ts";
export { type EtcdCluster, type EtcdClusterOptions, startEtcdCluster } from "./etcd/etcd-cluster.ts";
export type { EtcdMember } from "./etcd/etcd-member.ts";
export { type HelpFlag, parseHelpFlags, readHelpFlags } from "./etcd/help-flags.ts";
export { moveLeader } from "./etcd/move-leader.ts";
export { runFuzzCommand } from "./fuzz/fuzz-command.ts";
export type { FuzzTarget, Signature } from "./fuzz/fuzz-target.ts";
export { randomBytes } from "./fuzz/mutate.ts";
export { type RunningProgram, startProgram } from "./process/child-process.ts";
export { findFreePorts, isFree } from "./process/free-ports.ts";
export { findOwnNetwork } from "./process/own-network.ts";
export { type RunningRedis, startRedis } from "./process/redis-server.ts";
export { Random } from "./random.ts";
export { type FaultRelay, startFaultRelay } from "./relay/fault-relay.ts";
export { type Cutter, createNatsCutter, type Piece } from "./relay/nats-messages.ts";
export type { RelayWeather } from "./relay/relay-weather.ts";
export type {
  CertificateAuthority,
  CertificateRequest,
  IssuedCertificate,
} from "./tls/certificate-authority.ts";
export { createAuthority } from "./tls/create-authority.ts";
