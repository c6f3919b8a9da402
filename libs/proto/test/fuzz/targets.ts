import { isDeepStrictEqual } from "node:util";
import { type DescMessage, fromBinary, isMessage, toBinary } from "@bufbuild/protobuf";
import type { FuzzTarget } from "@etcd-edge/testkit";
import {
  dataKeyRoles,
  hasInvalidSort,
  hasUnknownFields,
  PutRequestSchema,
  planMessage,
  RangeRequestSchema,
  readHeaderRevision,
  readResponseHeader,
  readWatchResponse,
  rewriteKeys,
  TxnRequestSchema,
  toCanonical,
  WatchRequestSchema,
  WatchResponseSchema,
} from "../../src/index.ts";
import { generateMessage } from "./generate-message.ts";

/** What came of reading: a value, or the refusal's first words. */
type Reading<T> = { readonly value: T } | { readonly refusal: string };

/** @throws what is thrown and is no Error */
function reading<T>(read: () => T): Reading<T> {
  try {
    return { value: read() };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { refusal: error.message.replaceAll(/\d+/g, "#").slice(0, 40) };
  }
}

function check(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

const same = (key: Uint8Array): Uint8Array => key;

/** A request of clients: made canonical before anything is decided by it, and rewritten without being decoded. */
function requestTarget(message: DescMessage): FuzzTarget {
  const plan = planMessage(message, dataKeyRoles);
  if (plan === undefined) throw new Error(`${message.typeName} has no keys`);
  return {
    generate: generateMessage,
    run: (input) => {
      const decoded = reading(() => fromBinary(message, input));
      const canonical = reading(() => toCanonical(input, plan));
      const unknown = reading(() => hasUnknownFields(input, message));
      if (!("value" in canonical)) return `refused: ${canonical.refusal}`;
      if (!("value" in decoded)) return `etcd refuses: ${decoded.refusal}`;
      const again = fromBinary(message, canonical.value);
      check(
        isDeepStrictEqual(toBinary(message, again), toBinary(message, decoded.value)),
        "canonical bytes mean something else",
      );
      check(
        isDeepStrictEqual(Buffer.from(toCanonical(canonical.value, plan)), Buffer.from(canonical.value)),
        "canonical twice is not canonical once",
      );
      const rewritten = hasEmptyWatchKey(again)
        ? canonical.value // that one means the key 0
        : rewriteKeys(canonical.value, plan, { key: same, rangeEnd: same, keyOfList: same });
      check(
        isDeepStrictEqual(toBinary(message, fromBinary(message, rewritten)), toBinary(message, again)),
        "keys rewritten to themselves change the message",
      );
      const isSame = canonical.value === input;
      return `${isSame} ${"value" in unknown ? unknown.value : unknown.refusal} ${shapeOf(again)}`;
    },
  };
}

function hasEmptyWatchKey(message: object): boolean {
  return (
    isMessage(message, WatchRequestSchema) &&
    message.requestUnion.value !== undefined &&
    "key" in message.requestUnion.value &&
    message.requestUnion.value.key.length === 0
  );
}

/** The names of what is set, one level deep. */
function shapeOf(message: object): string {
  const isSet = (value: unknown): boolean =>
    value !== undefined &&
    value !== 0 &&
    value !== 0n &&
    value !== false &&
    (!Array.isArray(value) || value.length > 0);
  return Object.entries(message)
    .filter(([name, value]) => name !== "$typeName" && isSet(value))
    .map(([name]) => name)
    .join();
}

/** Whether a request that would kill an etcd is known for one, by bytes and by the codec alike. */
const invalidSort: FuzzTarget = {
  generate: generateMessage,
  run: (input) => {
    const decoded = reading(() => fromBinary(RangeRequestSchema, input));
    const bad = reading(() => hasInvalidSort(input, "range"));
    const inTxn = reading(() => hasInvalidSort(input, "txn"));
    if ("value" in decoded) {
      // As the codec writes it: with a wrong wire type the codec reads on where etcd refuses.
      const { sortOrder, sortTarget } = decoded.value;
      const isKnown = sortOrder >= 0 && sortOrder <= 2 && sortTarget >= 0 && sortTarget <= 4;
      const again = reading(() => hasInvalidSort(toBinary(RangeRequestSchema, decoded.value), "range"));
      check(!("value" in again) || again.value !== isKnown, `a sort of ${sortOrder} ${sortTarget}`);
    }
    return JSON.stringify(["value" in decoded, bad, inTxn]);
  },
};

/** What etcd answers on a watch, of which only a part is read. */
const watchResponse: FuzzTarget = {
  generate: generateMessage,
  run: (input) => {
    const decoded = reading(() => fromBinary(WatchResponseSchema, input));
    const view = reading(() => readWatchResponse(input));
    const header = reading(() => readResponseHeader(input));
    const revision = reading(() => readHeaderRevision(input));
    if (!("value" in view)) return `refused: ${view.refusal}`;
    if (!("value" in decoded)) return `etcd would not send: ${decoded.refusal}`;
    // Where etcd could have sent just these bytes both must see the same.
    const isEtcds = isDeepStrictEqual(
      Buffer.from(toBinary(WatchResponseSchema, decoded.value)),
      Buffer.from(input),
    );
    if (!isEtcds) return "not as etcd writes it";
    const { value: seen } = view;
    const { value: meant } = decoded;
    check(seen.watchId === meant.watchId, "another watch id");
    check(seen.isCreated === meant.created && seen.isCanceled === meant.canceled, "created or canceled");
    check(seen.compactRevision === meant.compactRevision, "another compact revision");
    check(seen.isFragment === meant.fragment, "fragment");
    check(seen.header.revision === (meant.header?.revision ?? 0n), "another revision");
    check("value" in header && header.value.revision === seen.header.revision, "another revision by itself");
    check("value" in revision && revision.value === seen.header.revision, "another revision alone");
    check(
      isDeepStrictEqual(
        seen.events.map((event) => [event.isDelete, event.modRevision, Buffer.from(event.key)]),
        meant.events.map((event) => [
          event.type === 1,
          event.kv?.modRevision ?? 0n,
          Buffer.from(event.kv?.key ?? []),
        ]),
      ),
      "other events",
    );
    return `${shapeOf(meant)} ${Math.min(3, meant.events.length)}`;
  },
};

export const targets: Readonly<Record<string, FuzzTarget>> = {
  range: requestTarget(RangeRequestSchema),
  put: requestTarget(PutRequestSchema),
  txn: requestTarget(TxnRequestSchema),
  watch: requestTarget(WatchRequestSchema),
  "invalid-sort": invalidSort,
  "watch-response": watchResponse,
};
