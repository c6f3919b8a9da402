import { createHash } from "node:crypto";
import { type HttpHandler, sendText } from "@etcd-edge/runtime";

/** Follows the event streams. Texts go in as text, never as HTML: names and URLs come from outside. */
const script = `
const cell = (row, text, name) => {
  const td = row.insertCell();
  td.textContent = text;
  td.className = name ?? "";
};
const light = (row, alive) => cell(row, alive ? "\\u25cf" : "\\u25cb", alive ? "alive" : "dead");
const fill = (id, list, write) => {
  const body = document.getElementById(id);
  body.replaceChildren();
  for (const one of list) write(body.insertRow(), one);
};
const show = (set) => {
  document.getElementById("cluster").textContent = set.cluster;
  document.getElementById("version").textContent = "version " + set.version;
  fill("endpoints", set.endpoints, (row, one) => {
    light(row, one.alive);
    cell(row, one.name ?? "");
    cell(row, one.url);
    cell(row, one.health);
    cell(row, one.priority + " / " + one.weight);
  });
  document.getElementById("peers").textContent = set.peers.map((peer) => peer.url).join("  ") || "not known";
};
const since = (seconds) => {
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  const unit = units.find(([size]) => seconds >= size);
  return unit ? Math.floor(seconds / unit[0]) + " " + unit[1] : seconds + " s";
};
const showFleet = ({ tiers }) => {
  fill("tiers", tiers, (row, { name, endpoints, replicas, coalescingRatio }) => {
    const alive = endpoints.filter((one) => one.alive).length;
    light(row, alive > 0 || endpoints.length === 0);
    cell(row, name);
    cell(row, alive + " of " + endpoints.length);
    cell(row, replicas.length);
    cell(row, coalescingRatio ?? "");
  });
  fill("replicas", tiers.flatMap((tier) => tier.replicas.map((one) => [tier.name, one])), (row, [tier, one]) => {
    light(row, one.ready);
    cell(row, tier);
    cell(row, one.name);
    cell(row, one.url ?? "");
    cell(row, one.notReady ?? "ready");
    cell(row, since(one.uptimeSeconds));
    cell(row, one.version);
    cell(row, Object.entries(one.stats).map(([name, count]) => name + " " + count).join(", "), "stats");
  });
};
const state = document.getElementById("state");
const events = new EventSource("/v1/endpoints");
events.addEventListener("endpoints", (event) => show(JSON.parse(event.data)));
events.onopen = () => (state.textContent = "live");
events.onerror = () => (state.textContent = "connection lost, trying again");
new EventSource("/v1/fleet").addEventListener("fleet", (event) => showFleet(JSON.parse(event.data)));
`;

const style = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
th { font-weight: 600; }
.alive { color: #2a9d4a; } .dead { color: #d1442f; }
small, .stats { opacity: 0.7; }
.stats { font-size: 0.85em; }
h2 { margin-top: 2rem; font-size: 1.2rem; }
`;

const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>etcd-edge discovery</title>
<style>${style}</style>
<h1>Endpoints of <span id="cluster">…</span></h1>
<p><small><span id="version"></span> · <span id="state" role="status">connecting</span> · <a href="/v1/endpoints">JSON</a> · <a href="/v1/fleet">fleet</a></small></p>
<table>
<thead><tr><th aria-label="alive"></th><th>member</th><th>endpoint</th><th>health</th><th>priority / weight</th></tr></thead>
<tbody id="endpoints"></tbody>
</table>
<h2>Tiers</h2>
<table>
<thead><tr><th aria-label="alive"></th><th>tier</th><th>alive</th><th>replicas heard</th><th>watches per watch at etcd</th></tr></thead>
<tbody id="tiers"></tbody>
</table>
<h2>Replicas</h2>
<table>
<thead><tr><th aria-label="ready"></th><th>tier</th><th>name</th><th>address</th><th>state</th><th>up</th><th>version</th><th>counts</th></tr></thead>
<tbody id="replicas"></tbody>
</table>
<p><small>Peers: <span id="peers">not known</span></small></p>
<script>${script}</script>
</html>
`;

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = `default-src 'none'; connect-src 'self'; style-src ${hashOf(style)}; script-src ${hashOf(script)}; base-uri 'none'; frame-ancestors 'none'`;

/** The fleet as a page that keeps itself up to date. One file, nothing to build, nothing loaded from elsewhere. */
export function createStatusPageHandler(): HttpHandler {
  return (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      sendText(response, 405, "method not allowed\n");
      return;
    }
    const headers = {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy,
      "x-content-type-options": "nosniff",
      "cache-control": "no-cache",
    };
    response.writeHead(200, headers).end(html);
  };
}
