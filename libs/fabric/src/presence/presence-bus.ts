import type { MessageBus } from "../bus/message-bus.ts";
import { decodePresence, encodePresence } from "./presence.ts";
import type { Messenger } from "./report-presence.ts";
import type { RollCall } from "./roll-call.ts";

/** Replicas speak on one subject, and newcomers ask on the other. */
function subjectsOf(prefix: string): { readonly present: string; readonly wanted: string } {
  return { present: `${prefix}.presence`, wanted: `${prefix}.presence-wanted` };
}

/** Tells presences over a bus, also when somebody asks or the bus is connected again. */
export function createBusMessenger(bus: MessageBus, prefix: string): Messenger {
  const { present, wanted } = subjectsOf(prefix);
  return {
    send: (presence) => bus.publish(present, encodePresence(presence)),
    onWanted: (tell) => {
      const stops = [
        bus.subscribe(wanted, tell),
        bus.onState((state) => {
          if (state.t === "connected") tell();
        }),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}

/** Listens to everybody on a bus. Returns the way to stop that. */
export function followPresences(bus: MessageBus, prefix: string, rollCall: RollCall): () => void {
  const { present, wanted } = subjectsOf(prefix);
  const ask = (): void => bus.publish(wanted, new Uint8Array(0));
  const stops = [
    bus.subscribe(present, (data) => {
      const presence = decodePresence(data);
      if (presence !== undefined) rollCall.heard(presence);
    }),
    bus.onState((state) => {
      if (state.t === "connected") ask();
    }),
  ];
  ask();
  return () => {
    for (const stop of stops) stop();
  };
}
