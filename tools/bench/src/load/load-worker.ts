import { Buffer } from "node:buffer";
import { grpcGoLoad } from "./grpc-go-load.ts";

/* Child process: gets a plan as its argument, tells the result to its parent. */
const plan = JSON.parse(process.argv[2] ?? "");
const result = await grpcGoLoad({ ...plan, body: Buffer.from(plan.body, "base64") });
process.send?.(result, () => process.disconnect?.());
