/** No token begins so: HTTP/2 lets no such byte into a header. */
const mark = "\u0000tls:";

/**
 * What stands for a user whom etcd knows by the certificate of our connection wherever credentials tell users apart: such calls are
 * somebody's, though they show no token.
 */
export function credentialOfConnection(user: string): string {
  return mark + user;
}

/** The token that etcd is to be shown for a credential; nothing where there is none, or the connection says it. */
export function tokenToShow(credential: string | undefined): string | undefined {
  return credential?.startsWith(mark) === true ? undefined : credential;
}
