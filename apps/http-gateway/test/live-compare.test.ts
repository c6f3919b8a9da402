import { findEtcdBinaries } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { compareDoors, type Difference } from "./support/compare-doors.ts";
import { knownNames } from "./support/known-differences.ts";
import { type LiveQuestion, ownQuestions, recordedQuestions } from "./support/live-questions.ts";

const binaries = await findEtcdBinaries();

describe.each(binaries.map((binary) => [binary.version, binary] as const))(
  "beside etcd %s",
  (version, binary) => {
    it("answers the recorded requests as etcd's own door, but for what is listed", async () => {
      const questions = recordedQuestions("recorded-3.4.23-debian.jsonl");
      expectKnown(version, questions, await compareDoors(binary, questions));
    });

    it("answers requests of our own as etcd's own door, but for what is listed", async () => {
      expectKnown(version, ownQuestions, await compareDoors(binary, ownQuestions));
    });
  },
);

function expectKnown(
  version: string,
  questions: readonly LiveQuestion[],
  differences: ReadonlyMap<string, Difference>,
): void {
  const known = knownNames(version, questions);
  const unknown = Object.fromEntries([...differences].filter(([name]) => !known.includes(name)));
  expect(unknown).toEqual({});
  expect([...differences.keys()].toSorted()).toEqual(known.toSorted());
}
