import type { Epochs } from "../epoch/epochs.ts";
import type { Clock } from "../ports.ts";
import type { CreateBudget } from "./create-budget.ts";
import type { FabricCounters } from "./fabric-counters.ts";
import type { FeedLinks } from "./feed-links.ts";
import type { InterestTable } from "./interest-table.ts";
import type { Digest, FabricBus } from "./ports.ts";
import type { Roster } from "./roster.ts";
import type { ScopeMembership } from "./scope-membership.ts";

/** What all scopes of a replica have in common. */
export interface FabricContext {
  readonly id: string;
  readonly bus: FabricBus;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly epochs: Epochs;
  readonly roster: Roster;
  readonly budget: CreateBudget;
  readonly counters: FabricCounters;
}

/** What a scope knows, for those who act upon it. */
export interface ScopeKnowledge {
  readonly context: FabricContext;
  readonly membership: ScopeMembership;
  /** Our own feeds. */
  readonly links: FeedLinks;
  /** Those of others, and who lives on whose. */
  readonly table: InterestTable;
}
