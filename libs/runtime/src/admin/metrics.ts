import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { version } from "../version.ts";

interface MetricRow {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** One value of a metric with labels. */
interface LabelledValue {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The Prometheus metrics of one process. Counters end in `_total`, gauges do not. */
export interface Metrics {
  counter(row: MetricRow): Counter;
  gauge(row: MetricRow & { readonly collect?: (gauge: Gauge) => void }): Gauge;
  histogram(row: MetricRow & { readonly buckets: readonly number[] }): Histogram;
  /**
   * A counter that somebody else counts: read at each scrape. For hot paths that increment a plain number.
   */
  observedCounter(row: MetricRow & { readonly read: () => number }): void;
  /** The same for a counter with labels. */
  observedCounters(row: MetricRow & { readonly read: () => Iterable<LabelledValue> }): void;
  /** The text exposition, and its content type. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** A registry of its own, with `process_*` and `nodejs_*` in it, and `etcd_edge_build_info`. */
export function createMetrics(tier: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const base = (
    row: MetricRow,
  ): { name: string; help: string; labelNames: string[]; registers: Registry[] } => ({
    name: row.name,
    help: row.help,
    labelNames: [...(row.labelNames ?? [])],
    registers,
  });
  const build = new Gauge(
    base({ name: "etcd_edge_build_info", help: "Always 1.", labelNames: ["tier", "version"] }),
  );
  build.set({ tier, version }, 1);
  return {
    counter: (row) => new Counter(base(row)),
    gauge: (row) => {
      const { collect } = row;
      if (collect === undefined) return new Gauge(base(row));
      return new Gauge({
        ...base(row),
        collect(): void {
          collect(this);
        },
      });
    },
    histogram: (row) => new Histogram({ ...base(row), buckets: [...row.buckets] }),
    observedCounter: (row) => observe(base(row), () => [{ labels: {}, value: row.read() }]),
    observedCounters: (row) => observe(base(row), row.read),
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}

function observe(
  configuration: { name: string; help: string; labelNames: string[]; registers: Registry[] },
  read: () => Iterable<LabelledValue>,
): void {
  new Counter({
    ...configuration,
    collect(): void {
      this.reset();
      for (const { labels, value } of read()) this.inc(labels, value);
    },
  });
}
