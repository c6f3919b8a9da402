import { commonOptions, runApp, type Service, stringOption } from "../src/index.ts";

// A tier that serves nothing, run as a process by run-app.test.ts.
const options = {
  ...commonOptions,
  behaviour: stringOption({ flag: "behaviour", default: "drains", doc: "what draining does", since: "edge" }),
};

await runApp(
  { name: "door", summary: "door related command", startSummary: "start the door", options },
  (config) => {
    process.stdout.write("started\n");
    // As an open listener would, it keeps the process alive until disposed of.
    const open = setInterval(() => {}, 60_000);
    const service: Service = {
      drain: async (deadline) => {
        process.stdout.write("draining\n");
        if (config.behaviour === "drains") return;
        await new Promise<void>((resolve) => deadline.addEventListener("abort", () => resolve()));
      },
      [Symbol.asyncDispose]: () => {
        clearInterval(open);
        process.stdout.write("disposed\n");
        return Promise.resolve();
      },
    };
    return Promise.resolve(service);
  },
);
