/** What each counter counts; the keys are the fields of {@link TransportCounters}, the texts suit a metric's help. */
export const counterHelp = {
  connectionsOpened: "Connections that spoke HTTP/2.",
  connectionsClosed: "Of these, connections that ended.",
  http1Connections: "Connections handed to the HTTP/1.1 server.",
  unknownProtocolConnections: "Connections closed because their first bytes were neither HTTP/2 nor HTTP/1.",
  connectionsRefused: "Connections closed on arrival because of the connection limit.",
  handshakeTimeouts: "Connections closed because TLS, the preface or SETTINGS did not come in time.",
  settingsAckTimeouts: "Connections ended because our SETTINGS were not acknowledged in time.",
  tlsErrors: "TLS handshakes that failed.",
  connectFailures: "Attempts to connect that failed.",
  callsStarted: "Calls that began.",
  callsEnded: "Calls that ended, however.",
  callsRefused: "Calls refused because of the limit on concurrent streams or a drain.",
  callsRejected: "Calls answered here because their headers were no gRPC request.",
  callsTimedOut: "Calls whose deadline passed.",
  messagesReceived: "Messages received.",
  messagesSent: "Messages sent.",
  bytesReceived: "Bytes read from sockets, after TLS.",
  bytesSent: "Bytes handed to sockets, before TLS.",
  socketWrites: "Writes to sockets.",
  headerMemoHits: "Header blocks understood from memory (rule 9).",
  protocolErrors: "Connections ended because the peer broke HTTP/2 or HPACK.",
  streamErrors: "Streams reset because the peer broke a rule on them.",
  resetsReceived: "RST_STREAM frames received.",
  goawaysReceived: "GOAWAY frames received.",
  goawaysSent: "GOAWAY frames sent.",
  resetFloods: "Connections ended for opening and cancelling streams too fast (rapid reset).",
  settingsFloods: "Connections ended for too many SETTINGS frames.",
  pingFloods: "Connections ended for too many PING frames (too_many_pings).",
  emptyFrameFloods: "Connections ended for too many frames without use: empty DATA, PRIORITY, unknown types.",
  windowUpdateFloods: "Connections ended for too many tiny WINDOW_UPDATE frames.",
  continuationFloods: "Connections ended for a header block of too many frames or bytes.",
  unreadOutputFloods: "Connections ended because the peer made us write and did not read.",
  headerListsTooLarge: "Calls ended because their header list was over the limit.",
  messagesTooLarge: "Calls ended because a message was over the limit.",
  receiveBudgetExceeded: "Calls ended because their connection held too many received bytes.",
  sendBudgetExceeded: "Calls ended because their connection had too many bytes waiting to be sent.",
  writeStalls: "Connections ended because they took no byte for the stall timeout.",
  streamStalls: "Streams ended because they took no byte for the stall timeout.",
  keepaliveTimeouts: "Connections ended because a keepalive PING was not answered.",
  agedConnections: "Connections drained because of their age.",
  pendingCallsRejected: "Outgoing calls failed because too many were waiting for a connection.",
  pendingBytesExceeded:
    "Outgoing calls failed because the messages of calls without a connection were too large together.",
} as const;

/** Plain numbers that only grow, except where a server or channel is asked to share them. */
export type TransportCounters = { -readonly [K in keyof typeof counterHelp]: number };

/** All counters at zero. One object may serve several servers and channels. */
export function createCounters(): TransportCounters {
  return Object.fromEntries(Object.keys(counterHelp).map((name) => [name, 0])) as TransportCounters;
}
