import type { CertificateAuthority } from "./certificate-authority.ts";

/** Makes a certificate authority for tests. Its libraries are loaded here, by those who need one. */
export async function createAuthority(subject?: string): Promise<CertificateAuthority> {
  const { createCertificateAuthority } = await import("./certificate-authority.ts");
  return await createCertificateAuthority(subject);
}
