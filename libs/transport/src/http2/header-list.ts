import { type HeaderField, HeaderKind } from "../hpack/header-field.ts";

/**
 * One decoded header block, taken apart as a gRPC endpoint needs it. Shared by equal blocks (see BlockMemo), so
 * it is not changed after decoding.
 */
export class HeaderList {
  method: string | undefined = undefined;
  scheme: string | undefined = undefined;
  path: string | undefined = undefined;
  authority: string | undefined = undefined;
  status: string | undefined = undefined;
  contentType: string | undefined = undefined;
  te: string | undefined = undefined;
  grpcTimeout: string | undefined = undefined;
  grpcEncoding: string | undefined = undefined;
  grpcStatus: string | undefined = undefined;
  grpcMessage: string | undefined = undefined;
  contentLength: string | undefined = undefined;
  /** All other fields: name, value, name, value, in the order of the wire; `-bin` values as their raw text. */
  readonly metadata: string[] = [];
  /** Why the message is malformed (RFC 9113, 8.1.1), if it is. */
  fault: string | undefined = undefined;
  /** The list exceeds the announced limit; fields beyond it were dropped. */
  isTooLarge = false;
  hasPseudo = false;
  #bytes = 0;
  #regularSeen = false;
  readonly #maxBytes: number;

  /** @param maxBytes SETTINGS_MAX_HEADER_LIST_SIZE as we announce it. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the next field of the block. */
  add(field: HeaderField): void {
    this.#bytes += field.size;
    if (this.#bytes > this.#maxBytes) {
      this.isTooLarge = true;
      return;
    }
    if (!field.valid) this.fault = "invalid header field";
    const kind = field.kind;
    if (kind === HeaderKind.metadata) {
      this.#regularSeen = true;
      this.metadata.push(field.name, field.value);
      return;
    }
    if (kind <= HeaderKind.unknownPseudo) this.#addPseudo(kind, field.value);
    else this.#addKnown(kind, field.value);
  }

  #addPseudo(kind: HeaderKind, value: string): void {
    if (this.#regularSeen) this.fault = "pseudo-header after a regular header";
    this.hasPseudo = true;
    let earlier: string | undefined;
    switch (kind) {
      case HeaderKind.method:
        earlier = this.method;
        this.method = value;
        break;
      case HeaderKind.scheme:
        earlier = this.scheme;
        this.scheme = value;
        break;
      case HeaderKind.path:
        earlier = this.path;
        this.path = value;
        break;
      case HeaderKind.authority:
        earlier = this.authority;
        this.authority = value;
        break;
      case HeaderKind.status:
        earlier = this.status;
        this.status = value;
        break;
      default:
        this.fault = "unknown pseudo-header";
    }
    if (earlier !== undefined) this.fault = "pseudo-header twice";
  }

  #addKnown(kind: HeaderKind, value: string): void {
    this.#regularSeen = true;
    switch (kind) {
      case HeaderKind.te:
        if (value !== "trailers") this.fault = "te other than trailers";
        this.te = value;
        break;
      case HeaderKind.contentType:
        this.contentType = value;
        break;
      case HeaderKind.grpcTimeout:
        this.grpcTimeout = value;
        break;
      case HeaderKind.grpcEncoding:
        this.grpcEncoding = value;
        break;
      case HeaderKind.grpcStatus:
        this.grpcStatus = value;
        break;
      case HeaderKind.grpcMessage:
        this.grpcMessage = value;
        break;
      case HeaderKind.contentLength:
        if (!/^\d{1,15}$/.test(value) || (this.contentLength ?? value) !== value) {
          this.fault = "invalid content-length";
        }
        this.contentLength = value;
        break;
      case HeaderKind.connectionSpecific:
        this.fault = "connection-specific header";
        break;
      default:
        // grpc-accept-encoding: we neither compress nor forward it.
        break;
    }
  }
}
