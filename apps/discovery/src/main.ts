import { runApp } from "@etcd-edge/runtime";
import { createApp } from "./app.ts";
import { command } from "./command.ts";

await runApp(command, createApp);
