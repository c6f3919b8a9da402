import type { Agent } from "node:http";
import { Auth, toGrpcJsService } from "@etcd-edge/proto";
import { Channel } from "@etcd-edge/transport";
import { DoorProcess } from "../faults/door-process.ts";
import { watchesAt, watchesOver } from "../faults/watch-call.ts";
import { watchedRange } from "./administrator.ts";
import { WatchedUser } from "./watched-user.ts";

const { authenticate } = toGrpcJsService(Auth);

interface RevocationDoorOptions {
  readonly tier: "grpc-proxy" | "http-gateway";
  /** Whether it has a user of its own. */
  readonly hasUser: boolean;
  readonly ports: readonly [number, number];
  readonly flags: readonly string[];
  readonly agent: Agent;
}

/** A door at which users log in and watch. Dispose of it. */
export class RevocationDoor implements AsyncDisposable {
  readonly name: string;
  readonly #options: RevocationDoorOptions;
  readonly #process: DoorProcess;
  readonly #channel: Channel;

  constructor(options: RevocationDoorOptions) {
    const { tier, hasUser, ports, flags } = options;
    this.name = hasUser ? `${tier}, --user` : tier;
    this.#options = options;
    this.#process = new DoorProcess(tier, ports, flags);
    this.#channel = new Channel({ endpoint: { host: "127.0.0.1", port: ports[0] } });
  }

  async start(): Promise<void> {
    await this.#process.start();
  }

  /** Opens a watch as a user who logs in here, or as nobody, and waits until it is there. */
  async watchAs(user: string | undefined): Promise<WatchedUser> {
    const { tier, agent, ports } = this.#options;
    const token = user === undefined ? undefined : await this.#logIn(user);
    const open =
      tier === "grpc-proxy" ? watchesOver(this.#channel, token) : watchesAt(ports[0], agent, token);
    const watched = new WatchedUser(open, watchedRange);
    await watched.created;
    return watched;
  }

  async #logIn(name: string): Promise<string> {
    const credentials = { name, password: "pw" };
    if (this.#options.tier === "grpc-proxy") {
      const request = authenticate.requestSerialize(credentials);
      const { payload } = await this.#channel.unaryCall(authenticate.path, [], request);
      return authenticate.responseDeserialize(payload).token;
    }
    const url = `http://127.0.0.1:${this.#options.ports[0]}/v3/auth/authenticate`;
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(credentials) });
    return ((await answer.json()) as { readonly token: string }).token;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel[Symbol.asyncDispose]();
    await this.#process[Symbol.asyncDispose]();
  }
}
