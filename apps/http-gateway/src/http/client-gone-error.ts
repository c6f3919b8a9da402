/** The client closed its connection: nobody is left to answer. */
export class ClientGoneError extends Error {
  readonly code = "CLIENT_GONE";

  constructor() {
    super("client closed the connection");
    this.name = "ClientGoneError";
  }
}
