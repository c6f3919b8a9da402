import { describe, expect, it } from "vitest";
import { HostCache } from "./host-cache.ts";
import { ManualClock } from "./manual-clock.ts";

function setUp() {
  const clock = new ManualClock();
  const questions: string[] = [];
  let answer: string | Error = "192.0.2.1";
  const cache = new HostCache({
    clock,
    resolve: (host) => {
      questions.push(host);
      return answer instanceof Error
        ? Promise.reject(answer)
        : Promise.resolve([{ address: answer, family: 4 }]);
    },
  });
  const lookup = async (): Promise<string | undefined> => (await cache.lookup("h"))[0]?.address;
  const answerWith = (next: string | Error): void => {
    answer = next;
  };
  return { cache, clock, questions, lookup, answerWith };
}

describe("HostCache", () => {
  it("asks once for many, and not again while the answer is fresh", async () => {
    const { clock, questions, lookup } = setUp();
    expect(await Promise.all([lookup(), lookup(), lookup()])).toEqual(Array(3).fill("192.0.2.1"));
    await clock.advance(4_999);
    await lookup();
    expect(questions).toHaveLength(1);
  });

  it("gives the old answer while it asks for a new one", async () => {
    const { clock, lookup, answerWith } = setUp();
    await lookup();
    answerWith("192.0.2.2");
    await clock.advance(5_000);
    expect(await lookup()).toBe("192.0.2.1");
    await clock.advance(0);
    expect(await lookup()).toBe("192.0.2.2");
  });

  it("lives on the old answer for a minute when DNS is down, then says so", async () => {
    const { clock, lookup, answerWith } = setUp();
    await lookup();
    answerWith(new Error("EAI_AGAIN"));
    await clock.advance(59_000);
    expect(await lookup()).toBe("192.0.2.1");
    await clock.advance(1_000);
    await expect(lookup()).rejects.toThrow("EAI_AGAIN");
  });

  it("does not remember failures", async () => {
    const { lookup, answerWith } = setUp();
    answerWith(new Error("ENOTFOUND"));
    await expect(lookup()).rejects.toThrow("ENOTFOUND");
    answerWith("192.0.2.3");
    expect(await lookup()).toBe("192.0.2.3");
  });

  it("asks anew after it was told that the answer is wrong", async () => {
    const { cache, lookup, answerWith } = setUp();
    await lookup();
    answerWith("192.0.2.2");
    cache.forget("h");
    expect(await lookup()).toBe("192.0.2.2");
  });
});
