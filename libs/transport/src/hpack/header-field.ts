/**
 * What a header name means to a gRPC endpoint, decided once when a field is created (and so once per table entry,
 * not once per request).
 */
export const HeaderKind = {
  metadata: 0,
  method: 1,
  scheme: 2,
  path: 3,
  authority: 4,
  status: 5,
  unknownPseudo: 6,
  te: 7,
  contentType: 8,
  grpcTimeout: 9,
  grpcEncoding: 10,
  grpcAcceptEncoding: 11,
  grpcStatus: 12,
  grpcMessage: 13,
  contentLength: 14,
  /** Forbidden in HTTP/2 (RFC 9113, 8.2.2). */
  connectionSpecific: 15,
} as const;

/** One of the values of {@link HeaderKind}. */
export type HeaderKind = (typeof HeaderKind)[keyof typeof HeaderKind];

/** One header field as HPACK carries it. Immutable: table entries are shared by all blocks that refer to them. */
export interface HeaderField {
  readonly name: string;
  /** Bytes of the value as latin1. */
  readonly value: string;
  /** Size as RFC 7541, 4.1 counts it: name + value + 32. */
  readonly size: number;
  readonly kind: HeaderKind;
  /** Name and value obey RFC 9113, 8.2.1. A field that does not makes its message malformed, not the connection. */
  readonly valid: boolean;
}

const kinds: ReadonlyMap<string, HeaderKind> = new Map([
  [":method", HeaderKind.method],
  [":scheme", HeaderKind.scheme],
  [":path", HeaderKind.path],
  [":authority", HeaderKind.authority],
  [":status", HeaderKind.status],
  ["te", HeaderKind.te],
  ["content-type", HeaderKind.contentType],
  ["grpc-timeout", HeaderKind.grpcTimeout],
  ["grpc-encoding", HeaderKind.grpcEncoding],
  ["grpc-accept-encoding", HeaderKind.grpcAcceptEncoding],
  ["grpc-status", HeaderKind.grpcStatus],
  ["grpc-message", HeaderKind.grpcMessage],
  ["content-length", HeaderKind.contentLength],
  ["connection", HeaderKind.connectionSpecific],
  ["keep-alive", HeaderKind.connectionSpecific],
  ["proxy-connection", HeaderKind.connectionSpecific],
  ["transfer-encoding", HeaderKind.connectionSpecific],
  ["upgrade", HeaderKind.connectionSpecific],
]);

/** Makes a field and classifies it. Never throws: what is wrong with it is in `valid`. */
export function createHeaderField(name: string, value: string): HeaderField {
  const kind = kinds.get(name) ?? (name.startsWith(":") ? HeaderKind.unknownPseudo : HeaderKind.metadata);
  return {
    name,
    value,
    size: name.length + value.length + 32,
    kind,
    valid: isFieldName(name) && isFieldValue(value),
  };
}

/** Lower-case token characters, with one leading colon allowed (RFC 9113, 8.2.1 and RFC 9110, 5.6.2). */
function isFieldName(name: string): boolean {
  const start = name.charCodeAt(0) === 0x3a ? 1 : 0;
  if (name.length === start) return false;
  for (let i = start; i < name.length; i++) {
    if (nameBytes[name.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

const nameBytes: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) =>
  "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz".includes(String.fromCharCode(code)) ? 1 : 0,
);

/** No NUL, CR or LF anywhere; no space or tab at either end (RFC 9113, 8.2.1). */
export function isFieldValue(value: string): boolean {
  const length = value.length;
  if (length === 0) return true;
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1))) return false;
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i);
    if (code === 0 || code === 10 || code === 13) return false;
  }
  return true;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
