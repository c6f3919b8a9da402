import { Auth, KV, Permission_Type, toGrpcJsService } from "@etcd-edge/proto";
import type { EtcdCluster } from "@etcd-edge/testkit";
import { CallError, Channel } from "@etcd-edge/transport";

const auth = toGrpcJsService(Auth);
const kv = toGrpcJsService(KV);

/** What is watched: the keys below it. */
export const watchedRange = "watched";
const [key, rangeEnd] = [Buffer.from(`${watchedRange}/`), Buffer.from(`${watchedRange}0`)];

interface Method<I, O> {
  readonly path: string;
  readonly requestSerialize: (request: I) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => O;
}

/** Root, at etcd itself. Dispose of it. */
export class Administrator implements AsyncDisposable {
  readonly #channel: Channel;
  #token: string | undefined;

  /** @param endpoint `host:port` */
  constructor(endpoint: string) {
    const [host = "", port = ""] = endpoint.split(":");
    this.#channel = new Channel({ endpoint: { host, port: Number(port) } });
  }

  /** A role that may read what is watched, for some users. */
  async letRead(role: string, users: readonly string[]): Promise<void> {
    const perm = { permType: Permission_Type.READ, key, rangeEnd };
    await this.#call(auth.roleAdd, { name: role });
    await this.#call(auth.roleGrantPermission, { name: role, perm });
    for (const user of users) await this.#call(auth.userGrantRole, { user, role });
  }

  async addUser(name: string): Promise<void> {
    await this.#call(auth.userAdd, { name, password: "pw" });
  }

  async revokePermission(role: string): Promise<void> {
    await this.#call(auth.roleRevokePermission, { role, key, rangeEnd });
  }

  async takeRole(name: string, role: string): Promise<void> {
    await this.#call(auth.userRevokeRole, { name, role });
  }

  async deleteUser(name: string): Promise<void> {
    await this.#call(auth.userDelete, { name });
  }

  async changePassword(name: string): Promise<void> {
    await this.#call(auth.userChangePassword, { name, password: "another" });
  }

  async enableAuth(): Promise<void> {
    await this.#call(auth.authEnable, {});
  }

  async disableAuth(): Promise<void> {
    await this.#call(auth.authDisable, {});
    // Forgotten with it, and an etcd 3.4 without auth refuses what it does not know.
    this.#token = undefined;
  }

  /** Writes into what is watched. */
  async put(): Promise<void> {
    await this.#call(kv.put, { key: Buffer.from(`${watchedRange}/k`), value: Buffer.from("v") });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel[Symbol.asyncDispose]();
  }

  /** Once more as who has just logged in, where etcd has forgotten the token, or auth is on again. */
  async #call<I, O>(method: Method<I, O>, request: I): Promise<O> {
    const ask = async (): Promise<O> => {
      const metadata = this.#token === undefined ? [] : ["token", this.#token];
      const { payload } = await this.#channel.unaryCall(
        method.path,
        metadata,
        method.requestSerialize(request),
      );
      return method.responseDeserialize(payload);
    };
    try {
      return await ask();
    } catch (error) {
      const isStale =
        error instanceof CallError && /user name is empty|invalid auth token/.test(error.message);
      if (!isStale) throw error;
      this.#token = undefined;
      this.#token = (await this.#logIn()).token;
      return await ask();
    }
  }

  async #logIn(): Promise<{ readonly token: string }> {
    const { path, requestSerialize, responseDeserialize } = auth.authenticate;
    const { payload } = await this.#channel.unaryCall(
      path,
      [],
      requestSerialize({ name: "root", password: "pw" }),
    );
    return responseDeserialize(payload);
  }
}

export function administratorOf({ endpoints }: EtcdCluster): Administrator {
  return new Administrator(endpoints[0] ?? "");
}
