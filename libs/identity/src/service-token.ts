import { readFileSync } from "node:fs";
import { Auth, toGrpcJsService } from "@etcd-edge/proto";
import { ConfigError } from "@etcd-edge/runtime";
import { CallError, type RawMetadata } from "@etcd-edge/transport";
import type { MakeCall, ServiceCredential } from "./service-credential.ts";

const authenticate = toGrpcJsService(Auth).authenticate;

/** `--user` and what `--password-file` holds. */
export interface ServiceUser {
  readonly name: string;
  readonly password: string;
}

/**
 * The proxy's own identity toward etcd, for what it does in its own name.
 * @returns nothing where no user is named
 * @throws ConfigError where the file cannot be read, or there is half a pair
 */
export function readServiceUser(config: { user: string; passwordFile: string }): ServiceUser | undefined {
  const { user, passwordFile } = config;
  if (user === "" && passwordFile === "") return undefined;
  if (user === "" || passwordFile === "") {
    throw new ConfigError("--user and --password-file must be given together");
  }
  try {
    return { name: user, password: readFileSync(passwordFile, "utf8").replace(/\r?\n$/, "") };
  } catch (error) {
    throw new ConfigError(`--password-file: cannot read ${passwordFile}`, { cause: error });
  }
}

/** A token that is fetched when it is first wanted, and again when etcd no longer takes it. */
export class ServiceToken implements ServiceCredential {
  readonly by = "token";
  readonly #user: ServiceUser;
  #current: Promise<RawMetadata> | undefined;

  constructor(user: ServiceUser) {
    this.#user = user;
  }

  /** The name of the user. */
  get user(): string {
    return this.#user.name;
  }

  /** Metadata to send; empty while etcd wants no users. Callers at the same time share one question. */
  metadata(call: MakeCall): Promise<RawMetadata> {
    this.#current ??= this.#fetch(call).catch((error: unknown) => {
      this.#current = undefined;
      throw error;
    });
    return this.#current;
  }

  /** Makes a call with the token; where etcd refuses that, once more with a new one. @throws CallError */
  async call<T>(call: MakeCall, use: (metadata: RawMetadata) => Promise<T>): Promise<T> {
    try {
      return await use(await this.metadata(call));
    } catch (error) {
      if (!isStaleToken(error)) throw error;
      this.forget();
      return await use(await this.metadata(call));
    }
  }

  /** The next one asks again. */
  forget(): void {
    this.#current = undefined;
  }

  async #fetch(call: MakeCall): Promise<RawMetadata> {
    try {
      const payload = authenticate.requestSerialize(this.#user);
      const { token } = authenticate.responseDeserialize(await call(authenticate.path, [], payload));
      return ["token", token];
    } catch (error) {
      if (error instanceof CallError && error.message === "etcdserver: authentication is not enabled")
        return [];
      throw error;
    }
  }
}

const staleTexts: ReadonlySet<string> = new Set([
  "etcdserver: invalid auth token",
  "etcdserver: revision of auth store is old",
  "etcdserver: user name is empty",
]);

/** Whether etcd refused a token of before a restart, one that expired, or none because auth was off when we asked. */
export function isStaleToken(error: unknown): boolean {
  return error instanceof CallError && staleTexts.has(error.message);
}

/** The same of a text that has such a message in it: the reason of a watch that etcd refuses. */
export function isStaleTokenText(text: string): boolean {
  for (const stale of staleTexts) if (text.includes(stale)) return true;
  return false;
}
