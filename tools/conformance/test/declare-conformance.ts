import { type EtcdBinary, findEtcdBinaries } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Context } from "../src/context.ts";
import type { EtcdClient } from "../src/etcd-client.ts";
import { type OpenPlace, openPlace } from "../src/open-place.ts";
import { allPlaces, coveringPlaces, describePlace, type Place } from "../src/place.ts";
import type { Behave } from "./behave.ts";
import { describeAuthorizing } from "./unary/authorizing.ts";
import { describeCompacting } from "./unary/compacting.ts";
import { describeElecting } from "./unary/electing.ts";
import { describeKeyValues } from "./unary/key-values.ts";
import { describeLeaseKeys } from "./unary/lease-keys.ts";
import { describeLeases } from "./unary/leases.ts";
import { describeMaintaining } from "./unary/maintaining.ts";
import { describeQueueing } from "./unary/queueing.ts";
import { describeTransactions } from "./unary/transactions.ts";
import { describeCreating } from "./watch/creating.ts";
import { describeEnding } from "./watch/ending.ts";
import { describeProgressing } from "./watch/progressing.ts";
import { describeStarting } from "./watch/starting.ts";
import { describeTelling } from "./watch/telling.ts";

/** `CONFORMANCE=all`: every combination of the axes instead of a few that meet every value. */
const isWhole = process.env["CONFORMANCE"] === "all";
/** `CONFORMANCE_ONLY=3.4.23, grpc-proxy`: only the places whose name contains this. */
const only = process.env["CONFORMANCE_ONLY"];

const groups: Readonly<Record<string, (behave: Behave) => void>> = {
  "keys and values": describeKeyValues,
  transactions: describeTransactions,
  leases: describeLeases,
  "keys of leases": describeLeaseKeys,
  compactions: describeCompacting,
  "locks and elections": describeElecting,
  "queues for locks and seats": describeQueueing,
  "maintenance and members": describeMaintaining,
  "users and permissions": describeAuthorizing,
  "creating watches": describeCreating,
  "where watches start": describeStarting,
  "what watches tell": describeTelling,
  "watch progress": describeProgressing,
  "the end of watches": describeEnding,
};

const binaries = await findEtcdBinaries();
const all = allPlaces(binaries.map((binary) => binary.version));
const places =
  only === undefined
    ? isWhole
      ? all
      : coveringPlaces(all)
    : all.filter((place) => describePlace(place).startsWith(only));

/** Declares the whole suite for those of the chosen places that a test file takes. */
export function declareConformance(isMine: (place: Place) => boolean): void {
  const mine = places.filter(isMine);
  // A selection by name may leave a file with nothing to do.
  if (mine.length === 0)
    it("has no place of this kind among those selected", () => expect(only).toBeDefined());
  for (const place of mine) declarePlace(place);
}

function declarePlace(place: Place): void {
  describe(describePlace(place), () => {
    let open: OpenPlace;
    let etcd: EtcdClient;
    let count = 0;

    beforeAll(async () => {
      open = await openPlace(place, binaryOf(place));
      etcd = open.connect();
    });
    afterAll(async () => {
      // The servers first: what they leave open on our side is closed by their end.
      await open[Symbol.asyncDispose]();
      etcd[Symbol.dispose]();
    });

    for (const [name, declare] of Object.entries(groups)) {
      describe(name, () => {
        declare((behaviour, check) => {
          it(behaviour, () => check(new Context(open, etcd, `${++count}/`)));
        });
      });
    }
  });
}

function binaryOf(place: Place): EtcdBinary {
  const binary = binaries.find((one) => one.version === place.version);
  if (binary === undefined) throw new Error(`etcd ${place.version} is not installed`);
  return binary;
}
