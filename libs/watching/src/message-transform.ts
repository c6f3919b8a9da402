/**
 * What is done to the messages of an RPC on their way to etcd and back, such as keeping keys inside a namespace. Throws
 * where a message is not what the schema says.
 */
export interface MessageTransform {
  request(payload: Uint8Array): Uint8Array;
  response(payload: Uint8Array): Uint8Array;
}

/** The transform of an RPC by its path, or nothing where its bytes pass as they are. */
export type FindMessageTransform = (path: string) => MessageTransform | undefined;

/** Of a tier that shows its clients etcd's keys as they are. */
export const findNoTransform: FindMessageTransform = () => undefined;
