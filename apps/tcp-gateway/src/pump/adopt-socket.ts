import { type OnReadOpts, Socket } from "node:net";

/** The inside of a socket, as far as it is used here. */
type SocketHandle = { readonly useUserBuffer: (buffer: Uint8Array) => void };

/**
 * Makes an accepted socket read into our buffers. `net` offers `onread` for sockets it connects, not for those a server
 * accepts; but the socket's handle can be put into a new socket that has it. This is an internal of Node: a test
 * notices when it is gone, and until then `undefined` is the answer and the caller reads by `data` events.
 *
 * The accepted socket must be paused (`pauseOnConnect`) and must not be used afterwards. The server no longer counts
 * the connection; whoever adopts it closes it.
 */
export function adoptSocket(accepted: Socket, onread: OnReadOpts): Socket | undefined {
  const inside = accepted as unknown as { _handle: SocketHandle | null };
  const handle = inside._handle;
  if (handle === null || typeof handle.useUserBuffer !== "function") return undefined;
  inside._handle = null; // the handle has one owner: destroying the old socket must not close it
  accepted.destroy();
  return new Socket({ handle, onread, allowHalfOpen: true } as unknown as ConstructorParameters<
    typeof Socket
  >[0]);
}
