import { type EventView, encodeEvents, encodeHeader, type HeaderView } from "@etcd-edge/proto";

/** What a watcher wants of the events, as bits: watchers of one variant get the same bytes. */
export const Variant = { prevKv: 1, noPut: 2, noDelete: 4 } as const;

/** The bytes of an event response that watchers of one variant share. */
export interface EncodedBatch {
  /** Field 1. Its revision is the mod_revision of the last event (rule 31). */
  readonly header: Uint8Array;
  readonly revision: bigint;
  /** Field 11, for each event. */
  readonly body: Uint8Array;
  readonly events: readonly EventView[];
}

/** Events of one range that go to many watchers: encoded once for each variant, when the first of them asks. */
export class Batch {
  readonly events: readonly EventView[];
  readonly header: HeaderView;
  /** How many watchers it went to. */
  receivers = 0;
  readonly #encoded: (EncodedBatch | undefined)[] = [];
  #tried = 0;

  /** @param header who said it; the revision in it is not used */
  constructor(events: readonly EventView[], header: HeaderView) {
    this.events = events;
    this.header = header;
  }

  /** @returns nothing where the filters of the variant leave nothing */
  encode(variant: number): EncodedBatch | undefined {
    const bit = 1 << variant;
    if ((this.#tried & bit) === 0) {
      this.#tried |= bit;
      this.#encoded[variant] = encodeBatch(filterEvents(this.events, variant), this.header, variant);
    }
    return this.#encoded[variant];
  }
}

/** Encodes events that have been filtered already. */
export function encodeBatch(
  events: readonly EventView[],
  header: HeaderView,
  variant: number,
): EncodedBatch | undefined {
  const revision = events.at(-1)?.modRevision;
  if (revision === undefined) return undefined;
  return {
    header: encodeHeader({ ...header, revision }),
    revision,
    body: encodeEvents(events, (variant & Variant.prevKv) !== 0),
    events,
  };
}

function filterEvents(events: readonly EventView[], variant: number): readonly EventView[] {
  if ((variant & (Variant.noPut | Variant.noDelete)) === 0) return events;
  const unwanted = (event: EventView): boolean =>
    (variant & (event.isDelete ? Variant.noDelete : Variant.noPut)) !== 0;
  return events.filter((event) => !unwanted(event));
}
