import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";

/**
 * One method in the shape that `@grpc/grpc-js` takes for clients and servers. Plain data: this library does not
 * import grpc-js. Field names are grpc-js's own.
 */
export interface GrpcJsMethod<I extends DescMessage, O extends DescMessage> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: MessageInitShape<I>) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => MessageShape<I>;
  readonly responseSerialize: (value: MessageInitShape<O>) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => MessageShape<O>;
  readonly originalName: string;
}

/** All methods of one service, by their name in lower camel case (`leaseGrant`). */
export type GrpcJsService<S extends DescService> = {
  readonly [K in keyof S["method"]]: GrpcJsMethod<S["method"][K]["input"], S["method"][K]["output"]>;
};

/**
 * Makes the service definition that grpc-js's `makeClientConstructor` and `server.addService` take, with
 * protobuf-es codecs. `client.makeUnaryRequest(m.path, m.requestSerialize, m.responseDeserialize, …)` with a method
 * of the result is typed end to end.
 */
export function toGrpcJsService<S extends DescService>(service: S): GrpcJsService<S> {
  const methods = service.methods.map((method) => [method.localName, toGrpcJsMethod(method)] as const);
  // Same keys, same descriptors: only the type of an object made from entries is lost on the way.
  return Object.fromEntries(methods) as unknown as GrpcJsService<S>;
}

function toGrpcJsMethod(method: DescMethod): GrpcJsMethod<DescMessage, DescMessage> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: (value) => encode(method.input, value),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (value) => encode(method.output, value),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    originalName: method.localName,
  };
}

function encode(desc: DescMessage, value: MessageInitShape<DescMessage>): Buffer {
  const bytes = toBinary(desc, create(desc, value));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
