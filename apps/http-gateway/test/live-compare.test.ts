import { findEtcdBinaries } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { compareDoors, type Difference } from "./support/compare-doors.ts";
import { knownNames, undecidedNames } from "./support/known-differences.ts";
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
  const undecided = undecidedNames(version);
  const unknown = Object.fromEntries(
    [...differences].filter(([name]) => !known.includes(name) && !undecided.includes(name)),
  );
  expect(unknown).toEqual({});
  const decided = [...differences.keys()].filter((name) => !undecided.includes(name));
  expect(decided.toSorted()).toEqual(known.toSorted());
}
