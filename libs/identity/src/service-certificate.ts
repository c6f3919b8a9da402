import { NO_METADATA, type RawMetadata } from "@etcd-edge/transport";
import type { MakeCall, ServiceCredential } from "./service-credential.ts";

/** The user that the certificate of a connection names: nothing is to be fetched, shown or renewed. */
export class ServiceCertificate implements ServiceCredential {
  readonly user: string;
  readonly by = "certificate";

  /** @param user the Common Name */
  constructor(user: string) {
    this.user = user;
  }

  metadata(): Promise<RawMetadata> {
    return Promise.resolve(NO_METADATA);
  }

  call<T>(_call: MakeCall, use: (metadata: RawMetadata) => Promise<T>): Promise<T> {
    return use(NO_METADATA);
  }

  forget(): void {}
}
