export { CertificateUsers } from "./certificate-users.ts";
export { identityOptions } from "./identity-options.ts";
export { type JwtClaims, readJwt } from "./jwt-claims.ts";
export { isJwtMethod, JwtMint, type JwtMintOptions, readJwtKey } from "./jwt-mint.ts";
export { ServiceIdentity, type ServiceIdentityOptions } from "./service-identity.ts";
export {
  isStaleToken,
  isStaleTokenText,
  type MakeCall,
  readServiceUser,
  ServiceToken,
} from "./service-token.ts";
export { TokenNames } from "./token-names.ts";
