import type { RawMetadata } from "@etcd-edge/transport";

/** Makes one unary call. @throws CallError */
export type MakeCall = (path: string, metadata: RawMetadata, payload: Uint8Array) => Promise<Buffer>;

/** How etcd knows whom a tier acts as in its own name: by a token, or by the certificate of its connection. */
export interface ServiceCredential {
  /** The user of etcd. */
  readonly user: string;
  readonly by: "token" | "certificate";
  /** Metadata to send; empty where the connection says it, or etcd wants no users. @throws CallError where it cannot be had */
  metadata(call: MakeCall): Promise<RawMetadata>;
  /** Makes a call with it; where etcd refuses what it was shown, once more with a new one. @throws CallError */
  call<T>(call: MakeCall, use: (metadata: RawMetadata) => Promise<T>): Promise<T>;
  /** The next one asks again. */
  forget(): void;
}
