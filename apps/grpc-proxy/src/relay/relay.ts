import type { LeaseBook } from "@etcd-edge/coalesce";
import type { ChannelBalancer } from "@etcd-edge/endpoints";
import { CertificateUsers, type TokenNames } from "@etcd-edge/identity";
import { findRpc, peekHeaderRevision, type Rpc } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { metadataValue, type RawMetadata } from "@etcd-edge/transport";
import { identityOfCredential, type WatchIdentity, type WatchService } from "@etcd-edge/watching";
import type { Admissions } from "../admission/admissions.ts";
import { AdmittedCall } from "../admission/admitted-call.ts";
import type { CallCourse } from "../course/call-course.ts";
import { findCourse } from "../course/find-course.ts";
import { createRenewingCourse } from "../course/renewing-course.ts";
import { KeepAliveCall } from "../lease/keep-alive-call.ts";
import type { RevisionFloors } from "../ordering/revision-floors.ts";
import { createRevisionObserver } from "../ordering/revision-observer.ts";
import type { ReadService } from "../reads/read-service.ts";
import { rpcTable } from "../rpc-table.ts";
import { WatchCall, type WatchHost } from "../watch/watch-call.ts";
import { WatchFans } from "../watch/watch-fans.ts";
import type { CallCounters, CallRecord } from "./call-counters.ts";
import type { CallTransform, FindTransform } from "./call-transform.ts";
import { createHintCourse } from "./certificate-hint.ts";
import type { ClientsCall, ClientsSink } from "./client-state.ts";
import { type Credentials, chooseCredential } from "./credential.ts";
import { DeferredCall } from "./deferred-call.ts";
import { type LocalAnswers, LocalCall } from "./local-call.ts";
import { SingleRequestCall } from "./single-request-call.ts";
import { StreamingCall } from "./streaming-call.ts";

/** What every relayed call needs. All durations in milliseconds. */
export interface RelayContext {
  readonly balancer: ChannelBalancer;
  readonly counters: CallCounters;
  /** Longest wait of a call for connections that are being made. */
  readonly upstreamWaitMs: number;
  /** Longest wait of a read for the next attempt (rule 42). */
  readonly upstreamReadWaitMs: number;
  /** Largest request that is sent to etcd. */
  readonly maxSendBytes: number;
  readonly clock: Clock;
  readonly findTransform: FindTransform;
  readonly localAnswers: LocalAnswers;
  readonly leaseBook: LeaseBook;
  readonly watches: WatchService;
  readonly admissions: Admissions;
  /** With `--auth-jwt-key`: tokens for users of certificates. */
  readonly users: CertificateUsers | undefined;
  /** Whose tokens are whose. */
  readonly names: TokenNames;
  /** Nothing with `--share-reads=false`. */
  readonly reads: ReadService | undefined;
  /** Nobody looks at the messages of single calls: those that many watches get may be sent to all at once. */
  readonly sharesMessages: boolean;
  /** With `--experimental-serializable-ordering`: what each client has seen. */
  readonly floors: RevisionFloors | undefined;
}

/**
 * Hands every call on to an etcd endpoint as bytes: nothing is decoded, so fields and RPCs that this version does not
 * know pass untouched. Calls with one request are forwarded once it is complete, because only then can they be sent
 * to another endpoint when the first one provably did not take them (rule 39). What has a local answer is answered here,
 * and keepalives by the lease book. Of a client's credentials exactly one goes on (rule 36).
 */
export function createRelay(context: RelayContext): (call: ClientsCall) => ClientsSink {
  const watchHost = createWatchHost(context);
  return (call) => {
    const rpc = findRpc(call.path);
    const record = context.counters.start(rpc, call.path);
    const transform = context.findTransform(call.path);
    if (transform?.refusal !== undefined) {
      record.end(transform.refusal.code);
      call.end(transform.refusal);
      return deaf;
    }
    const chosen = chooseCredential(call.metadata);
    const user = chosen.credential === undefined ? certificateUserOf(call) : undefined;
    const begin = (credentials: Credentials): ClientsSink =>
      beginCall({ call, record, transform, credentials }, rpc, user);
    if (user === undefined || context.users === undefined) return begin(chosen);
    const named = nameUser(context.users, user, chosen.metadata);
    return new DeferredCall(
      call,
      record,
      context.users.ready(named.credential).then(() => () => begin(named)),
    );
  };

  function beginCall(relayed: RelayedCall, rpc: Rpc | undefined, user: string | undefined): ClientsSink {
    const { call, record, credentials } = relayed;
    if (rpc === undefined) return stream(context, relayed);
    const { local, lease, ordered, shared } = rpcTable[rpc.path];
    const answer = local === undefined ? undefined : context.localAnswers[local];
    if (answer !== undefined) {
      const forward = (): ClientsSink => forwardSingle(context, rpc, relayed);
      return new LocalCall(call, record, { answer, input: rpc.input, forward });
    }
    if (lease === "keepAlive") return keepAlive(context, relayed);
    const { floors, reads } = context;
    if (reads !== undefined && (shared === "read" || shared === "readStream")) {
      const { credential } = credentials;
      const identity = CertificateUsers.isOne(credential) ? identityOf(context, credentials) : undefined;
      const forward = (): ClientsSink => forwardSingle(context, rpc, relayed);
      return shared === "read"
        ? reads.answer(relayed, identity, forward)
        : reads.answerStream(relayed, identity, forward);
    }
    if (rpc.kind !== "bidi") return forwardSingle(context, rpc, relayed);
    const observe =
      ordered !== true || floors === undefined
        ? undefined
        : createRevisionObserver(floors, call.client.data, credentials.credential);
    return shared === "watch"
      ? new WatchCall(call, record, watchHost, observe, identityOf(context, credentials), user)
      : stream(context, relayed, observe);
  }
}

/** How the scope of a stream of watches is told apart, and what etcd is shown for it. */
function identityOf({ users }: RelayContext, credentials: Credentials): WatchIdentity {
  const { credential } = credentials;
  if (users === undefined || !CertificateUsers.isOne(credential)) return plainIdentityOf(credentials);
  return {
    scope: `:${credential}`,
    credential: () => users.resolve(credential),
    renew: () => users.renew(credential),
  };
}

/** There may be very many streams, and few credentials. */
function plainIdentityOf(credentials: Credentials): WatchIdentity {
  const known = identities.get(credentials);
  if (known !== undefined) return known;
  const identity = identityOfCredential(credentials.credential);
  identities.set(credentials, identity);
  return identity;
}

const identities = new WeakMap<Credentials, WatchIdentity>();

/** Looked up once for a connection: parsing a certificate takes longer than a call. */
function certificateUserOf({ client }: ClientsCall): string | undefined {
  const { data } = client;
  if (data.certificateUser === undefined) {
    // Several are no name of anybody: etcd takes the first, and nobody makes such certificates on purpose.
    const name = client.peerCertificate?.subject.CN;
    data.certificateUser = (Array.isArray(name) ? name[0] : name) || null;
  }
  return data.certificateUser ?? undefined;
}

/** The credentials of a user whom a certificate names: the token of the moment goes along. */
function nameUser(
  users: CertificateUsers,
  user: string,
  metadata: RawMetadata,
): Credentials & { readonly credential: string } {
  const credential = CertificateUsers.credentialOf(user);
  return {
    credential,
    get metadata() {
      const token = users.resolve(credential);
      return token === undefined ? metadata : [...metadata, "token", token];
    },
  };
}

/** A client's call, and what is known of it before its first message. */
export interface RelayedCall {
  readonly call: ClientsCall;
  readonly record: CallRecord;
  readonly transform: CallTransform | undefined;
  readonly credentials: Credentials;
}

function forwardSingle(context: RelayContext, rpc: Rpc, relayed: RelayedCall): ClientsSink {
  const { call: downstream, transform, credentials } = relayed;
  const { work, ordered } = rpcTable[rpc.path];
  const { admissions, floors, reads } = context;
  const { data } = downstream.client;
  // What clients are shown is what answers from memory may not be below (rule 29).
  const observe =
    reads === undefined || floors !== undefined || ordered !== true || rpc.kind !== "unary"
      ? undefined
      : (answer: Uint8Array) => reads.raiseFloor(data, credentials.credential, peekHeaderRevision(answer));
  const relay = (record: CallRecord): ClientsSink =>
    new SingleRequestCall(context, {
      rpc,
      downstream,
      record,
      metadata: () => credentials.metadata,
      transform,
      course: withIdentity(context, relayed, findCourse(context, rpc, downstream, credentials)),
      observe,
    });
  if (work === undefined) return relay(relayed.record);
  return new AdmittedCall({ admissions, work, downstream, record: relayed.record, relay });
}

/** What a client's certificate has to do with a call of one request. */
function withIdentity(
  { users, balancer }: RelayContext,
  { call, credentials: { credential } }: RelayedCall,
  inner: CallCourse | undefined,
): CallCourse | undefined {
  if (users !== undefined && CertificateUsers.isOne(credential))
    return createRenewingCourse({ users, credential, balancer, inner });
  const user = credential === undefined ? certificateUserOf(call) : undefined;
  return user === undefined ? inner : createHintCourse(user, inner);
}

/** An RPC that the schema does not know may stream both ways: this way of relaying suits every kind. */
function stream(
  context: RelayContext,
  { call, record, transform, credentials }: RelayedCall,
  observe?: ((answer: Uint8Array) => void) | undefined,
): ClientsSink {
  const { metadata } = credentials;
  return new StreamingCall(context, { downstream: call, record, metadata, transform, observe });
}

function createWatchHost(context: RelayContext): WatchHost {
  const { watches, sharesMessages } = context;
  return {
    openSession: (port) =>
      watches.openSession(port, {
        identity: port.identity,
        requiresLeader: metadataValue(port.call.metadata, "hasleader") === "true",
        connection: port.call.client.data.watchCount,
      }),
    closed: (session, { call }) => {
      const { credential } = chooseCredential(call.metadata);
      // More than it can have shown; what answers from memory may not be below that (rule 29).
      const shown = watches.knownRevision(identityOfCredential(credential).scope);
      context.reads?.raiseFloor(call.client.data, credential, shown);
      watches.closed(session);
    },
    relay: ({ call, record, observe }) => {
      const transform = context.findTransform(call.path);
      const credentials = chooseCredential(call.metadata);
      return stream(context, { call, record, transform, credentials }, observe);
    },
    fansOf: ({ client }) => {
      if (sharesMessages) client.data.fans ??= new WatchFans(client);
      return client.data.fans;
    },
  };
}

function keepAlive(context: RelayContext, { call, record, credentials }: RelayedCall): ClientsSink {
  return new KeepAliveCall({
    book: context.leaseBook,
    call,
    credentials,
    record,
    openOwn: (sink) => context.balancer.pick()?.streams.open(call.path, credentials.metadata, {}, sink),
  });
}

/** For a call that was answered before it said anything. */
const deaf: ClientsSink = { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} };
