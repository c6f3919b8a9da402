import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError } from "../config-error.ts";

/** Reads a PEM file. @throws ConfigError in the words of Go's os package */
export function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const why =
      code === "ENOENT"
        ? "no such file or directory"
        : code === "EACCES"
          ? "permission denied"
          : String(error);
    throw new ConfigError(`open ${path}: ${why}`, { cause: error });
  }
}

/** The Common Name in a PEM certificate's subject, or the empty text. @throws ConfigError where it is no certificate */
export function readCommonName(pem: Buffer, path: string): string {
  try {
    const { subject } = new X509Certificate(pem);
    return /^CN=(.*)$/m.exec(subject ?? "")?.[1] ?? "";
  } catch (error) {
    throw new ConfigError(`${path}: no PEM certificate`, { cause: error });
  }
}
