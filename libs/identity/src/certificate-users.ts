import type { JwtMint } from "./jwt-mint.ts";

/** No token begins so: HTTP/2 lets no such byte into a header. */
const mark = "\u0000cn:";

/**
 * Users whom a verified client certificate has named. Inside they go by a credential of their own (`credentialOf`), which stays
 * the same while the tokens made for them change; `resolve` gives what etcd is shown.
 */
export class CertificateUsers {
  readonly #mint: JwtMint;
  readonly #tokens = new Map<string, string | undefined>();

  constructor(mint: JwtMint) {
    this.#mint = mint;
  }

  /** What stands for the user wherever credentials tell clients apart. */
  static credentialOf(user: string): string {
    return mark + user;
  }

  /** Whether a credential stands for a user of a certificate. */
  static isOne(credential: string | undefined): credential is string {
    return credential?.startsWith(mark) === true;
  }

  /** Until calls can be made as this user. @throws where no token can be made now, with the reason */
  async ready(credential: string): Promise<void> {
    const user = credential.slice(mark.length);
    this.#tokens.set(user, await this.#mint.tokenFor(user));
  }

  /** What etcd is shown for a credential: itself, or the token of the user it stands for; nothing while auth is off. */
  resolve(credential: string | undefined): string | undefined {
    if (!CertificateUsers.isOne(credential)) return credential;
    // In time for the next one who asks: what there is is good for a while.
    this.ready(credential).catch(() => undefined);
    return this.#tokens.get(credential.slice(mark.length));
  }

  /** etcd no longer takes the token it was shown. Never rejects: the next answer of etcd's says what is wrong. */
  async renew(credential: string): Promise<void> {
    this.#mint.forget();
    await this.ready(credential).catch(() => undefined);
  }
}
