import { type EtcdBinary, startEtcdCluster } from "@etcd-edge/testkit";
import { exchange, type HttpExchange } from "./http-exchange.ts";
import type { LiveQuestion } from "./live-questions.ts";
import { startGateway } from "./running-gateway.ts";

/** What of an answer is compared. */
interface Compared {
  readonly status: number | "no answer";
  readonly headers: Readonly<Record<string, unknown>>;
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

export interface Difference {
  readonly etcd: Compared;
  readonly ours: Compared;
}

/**
 * Asks etcd's own JSON door and, on a second fresh cluster, the gateway. Two clusters, because what a request answers
 * depends on what came before it. Answers the questions that came out differently.
 */
export async function compareDoors(
  binary: EtcdBinary,
  questions: readonly LiveQuestion[],
): Promise<Map<string, Difference>> {
  await using direct = await startEtcdCluster({ binary });
  await using behind = await startEtcdCluster({ binary });
  await using gateway = await startGateway(behind.endpoints);
  const differences = new Map<string, Difference>();
  for (const question of questions) {
    const [etcd, ours] = await Promise.all([
      ask(direct.members[0]?.clientUrl ?? "", question),
      ask(gateway.url, question),
    ]);
    if (JSON.stringify(etcd) !== JSON.stringify(ours)) differences.set(question.name, { etcd, ours });
    if (changesMembers.test(question.path)) {
      await Promise.all(
        [direct, behind].map(({ members: [member] }) => ask(member?.clientUrl ?? "", quorumRead)),
      );
    }
  }
  return differences;
}

const changesMembers = /\/cluster\/member\/(?:add|remove|update|promote)$/;

/**
 * Asked behind every change of members: one that raft meets before it is done with the last one is dropped, and etcd never
 * answers it (seen on 3.5.30: 4 of 7,000; none with a read between). A read of a quorum is answered after that.
 */
const quorumRead: LiveQuestion = { name: "", method: "POST", path: "/v3/kv/range", body: '{"key":"YQ=="}' };

async function ask(origin: string, question: LiveQuestion): Promise<Compared> {
  const signal = AbortSignal.timeout(answerTimeoutMs);
  try {
    return toCompared(await exchange(origin, { ...question, signal }));
  } catch {
    // etcd drops the connection where its handler panics.
    return { status: "no answer", headers: {}, trailers: {}, body: "" };
  }
}

/** Far more than the deadline of the streams that are asked. */
const answerTimeoutMs = 20_000;

const comparedHeaders: readonly string[] = [
  "content-type",
  "grpc-metadata-content-type",
  "trailer",
  "www-authenticate",
  "location",
  "allow",
  "access-control-allow-origin",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "x-content-type-options",
];

function toCompared(answer: HttpExchange): Compared {
  const headers = comparedHeaders.map((name) => [name, answer.headers[name]] as const);
  return {
    status: answer.status,
    headers: Object.fromEntries(headers.filter(([, value]) => value !== undefined)),
    trailers: answer.trailers,
    body: mask(answer.body),
  };
}

/** Takes out what two clusters cannot share, and the spaces that protojson puts in or not, by build. */
function mask(body: string): string {
  return (
    body
      .replaceAll(/"(cluster_id|member_id|ID|leader|lease)":"\d{12,}"/g, '"$1":"#"')
      .replaceAll(
        /"(raft_term|dbSize|dbSizeInUse|raftIndex|raftAppliedIndex|raftTerm|TTL)":"\d+"/g,
        '"$1":"#"',
      )
      .replaceAll(/"(hash)":\d+/g, '"$1":"#"')
      .replaceAll(/127\.0\.0\.1:\d+/g, "#")
      .replaceAll(/"key":"(bXlsb2Nr|L2VsZWN0aW9u)[^"]*"/g, '"key":"$1#"')
      .replaceAll(/([}\]"\d]|true), (?=["{])/g, "$1,")
      .replaceAll("\u00a0", " ")
      // The end of a stream by deadline is worded by whoever notices first.
      .replace(
        /\{"error":\{[^}]*(?:context deadline exceeded|RST_STREAM with error code: CANCEL)[^}]*\}\}\n?$/,
        "DEADLINE",
      )
  );
}
