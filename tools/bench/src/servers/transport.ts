import { Buffer } from "node:buffer";
import { Server } from "@etcd-edge/transport";
import { ANSWER_BYTES, reportToParent } from "./serve.ts";

const answer = Buffer.alloc(ANSWER_BYTES, 1);
const server = new Server<undefined>({
  createData: () => undefined,
  onCall: () => sink,
  onEvent: (event) => {
    if (event.t === "handlerFailed") throw event.error;
  },
});
/** One sink for all calls. */
const sink = {
  onMessage: (_payload: Buffer, call: { respond(payload: Buffer): void }): void => call.respond(answer),
  onHalfClose: (): void => {},
  onCancel: (): void => {},
};
const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
reportToParent(port, () => {
  const { callsStarted, callsEnded } = server.counters;
  return { callsStarted, callsEnded };
});
