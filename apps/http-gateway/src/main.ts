import { runApp } from "@etcd-edge/runtime";
import { startHttpGateway } from "./app.ts";
import { options } from "./options.ts";

await runApp(
  {
    name: "http-gateway",
    summary: "http-gateway related command",
    startSummary: "start the HTTP and JSON gateway",
    options,
  },
  startHttpGateway,
);
