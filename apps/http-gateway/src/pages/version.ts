import type { HttpQuestions } from "../upstream/http-questions.ts";

/**
 * The body of `/version`: what the upstream answers itself, else made of the version that its gRPC side names (the
 * cluster version is then taken to be the same minor release). Nothing where neither is to be had.
 */
export async function versionBody(options: {
  questions: HttpQuestions;
  askVersion: () => Promise<string | undefined>;
}): Promise<string | undefined> {
  const answer = await options.questions.get("/version");
  if (answer?.status === 200 && answer.body.startsWith('{"etcdserver":')) return answer.body;
  const version = await options.askVersion();
  if (version === undefined) return undefined;
  const [major, minor] = version.split(".");
  return `{"etcdserver":"${version}","etcdcluster":"${major}.${minor}.0"}`;
}
