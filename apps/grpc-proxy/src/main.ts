import { runApp } from "@etcd-edge/runtime";
import { startGrpcProxy } from "./app.ts";
import { options } from "./options.ts";

await runApp(
  {
    name: "grpc-proxy",
    summary: "grpc-proxy related command",
    startSummary: "start the grpc proxy",
    options,
  },
  startGrpcProxy,
);
