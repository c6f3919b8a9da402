import { type Clock, systemClock, type Timer } from "@etcd-edge/runtime";
import { type MessageBus, subjectToken } from "../bus/message-bus.ts";
import {
  type AnnouncedEndpoint,
  type Announcement,
  decodeAnnouncement,
  encodeAnnouncement,
} from "./announcement.ts";

export type AnnouncementOptions = {
  readonly bus: MessageBus;
  /** First tokens of all subjects: `etcd-edge` makes `etcd-edge.endpoints.<cluster>`. */
  readonly prefix: string;
  readonly cluster: string;
  readonly clock?: Clock;
};

/** Subjects of one cluster: sets go out on one, newcomers ask for them on the other. */
function subjectsOf(prefix: string, cluster: string): { sets: string; wanted: string } {
  const token = subjectToken(cluster);
  return { sets: `${prefix}.endpoints.${token}`, wanted: `${prefix}.endpoints-wanted.${token}` };
}

/** A listener that hears nothing of a publisher for so many intervals forgets it. */
const lifetimes = 3;

/** More publishers than this are not remembered: whoever can publish could make up names without end. */
const maxPublishers = 1_000;

export type Announcer = Disposable & {
  /** What is announced from now on, at once and then every interval. */
  update(version: number, endpoints: readonly AnnouncedEndpoint[]): void;
};

/**
 * Announces one replica's endpoint set: on every change, at every interval (default 5 s), when somebody new asks, and
 * when the bus is connected again. Repeats are harmless, so nothing is ever acknowledged.
 */
export function createAnnouncer(
  options: AnnouncementOptions & { readonly publisher: string; readonly intervalMs?: number },
): Announcer {
  const { bus, prefix, cluster, publisher, intervalMs = 5_000, clock = systemClock } = options;
  const subjects = subjectsOf(prefix, cluster);
  let announcement: Announcement | undefined;
  let timer: Timer | undefined;

  const announce = (): void => {
    timer?.stop();
    timer = clock.setTimer(intervalMs, announce);
    if (announcement !== undefined) bus.publish(subjects.sets, encodeAnnouncement(announcement));
  };
  const unsubscribe = bus.subscribe(subjects.wanted, announce);
  const stopListening = bus.onState((state) => {
    if (state.t === "connected") announce();
  });
  return {
    update(version, endpoints) {
      announcement = { cluster, publisher, version, ttlMs: intervalMs * lifetimes, endpoints };
      announce();
    },
    [Symbol.dispose]() {
      timer?.stop();
      unsubscribe();
      stopListening();
    },
  };
}

export type AnnouncementListener = Disposable & {
  /** What all publishers heard of lately say together; empty if nobody was heard. */
  current(): readonly AnnouncedEndpoint[];
  publishers(): readonly string[];
};

/**
 * Listens to what replicas of discovery announce. Their sets are joined: an endpoint is in if any replica has it, and
 * alive if any replica would use it. That makes every listener come to the same answer without a leader, and one
 * replica that cannot reach an endpoint does not take it from everybody.
 */
export function followAnnouncements(
  options: AnnouncementOptions & { readonly onChange: (endpoints: readonly AnnouncedEndpoint[]) => void },
): AnnouncementListener {
  const { bus, prefix, cluster, onChange, clock = systemClock } = options;
  const subjects = subjectsOf(prefix, cluster);
  const heard = new Map<string, { readonly announcement: Announcement; readonly expiry: Timer }>();
  let joined: readonly AnnouncedEndpoint[] = [];

  const rejoin = (): void => {
    const next = joinAnnouncements([...heard.values()].map(({ announcement }) => announcement));
    if (JSON.stringify(next) === JSON.stringify(joined)) return;
    joined = next;
    onChange(joined);
  };
  const onMessage = (data: Uint8Array): void => {
    const announcement = decodeAnnouncement(data);
    if (announcement === undefined || announcement.cluster !== cluster) return;
    const { publisher, version, ttlMs } = announcement;
    const known = heard.get(publisher);
    if (known !== undefined && known.announcement.version > version) return; // late or replayed
    if (known === undefined && heard.size >= maxPublishers) return;
    known?.expiry.stop();
    const expiry = clock.setTimer(ttlMs, () => {
      heard.delete(publisher);
      rejoin();
    });
    heard.set(publisher, { announcement, expiry });
    rejoin();
  };
  const ask = (): void => bus.publish(subjects.wanted, new Uint8Array(0));
  const unsubscribe = bus.subscribe(subjects.sets, onMessage);
  const stopListening = bus.onState((state) => {
    if (state.t === "connected") ask();
  });
  ask();
  return {
    current: () => joined,
    publishers: () => [...heard.keys()].sort(),
    [Symbol.dispose]() {
      unsubscribe();
      stopListening();
      for (const { expiry } of heard.values()) expiry.stop();
      heard.clear();
    },
  };
}

/** The union of sets; of several descriptions of one URL that of the greatest publisher name counts. Order-free. */
export function joinAnnouncements(announcements: readonly Announcement[]): readonly AnnouncedEndpoint[] {
  const byUrl = new Map<string, AnnouncedEndpoint>();
  const inOrder = [...announcements].sort((a, b) => (a.publisher < b.publisher ? -1 : 1));
  for (const { endpoints } of inOrder) {
    for (const endpoint of endpoints) {
      const isAliveElsewhere = byUrl.get(endpoint.url)?.alive === true;
      byUrl.set(endpoint.url, isAliveElsewhere ? { ...endpoint, alive: true } : endpoint);
    }
  }
  return [...byUrl.values()].sort((a, b) => (a.url < b.url ? -1 : 1));
}
