import { createHash } from "node:crypto";
import { type HttpHandler, sendText } from "@etcd-edge/runtime";

/** Follows the event stream of `/v1/endpoints`. Texts go in as text, never as HTML: names and URLs come from outside. */
const script = `
const cell = (row, text, name) => {
  const td = row.insertCell();
  td.textContent = text;
  td.className = name ?? "";
};
const show = (set) => {
  document.getElementById("cluster").textContent = set.cluster;
  document.getElementById("version").textContent = "version " + set.version;
  const body = document.getElementById("endpoints");
  body.replaceChildren();
  for (const one of set.endpoints) {
    const row = body.insertRow();
    cell(row, one.alive ? "\\u25cf" : "\\u25cb", one.alive ? "alive" : "dead");
    cell(row, one.name ?? "");
    cell(row, one.url);
    cell(row, one.health);
    cell(row, one.priority + " / " + one.weight);
  }
  document.getElementById("peers").textContent = set.peers.map((peer) => peer.url).join("  ") || "not known";
};
const state = document.getElementById("state");
const events = new EventSource("/v1/endpoints");
events.addEventListener("endpoints", (event) => show(JSON.parse(event.data)));
events.onopen = () => (state.textContent = "live");
events.onerror = () => (state.textContent = "connection lost, trying again");
`;

const style = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
th { font-weight: 600; }
.alive { color: #2a9d4a; } .dead { color: #d1442f; }
small { opacity: 0.7; }
`;

const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>etcd-edge discovery</title>
<style>${style}</style>
<h1>Endpoints of <span id="cluster">…</span></h1>
<p><small><span id="version"></span> · <span id="state" role="status">connecting</span> · <a href="/v1/endpoints">JSON</a></small></p>
<table>
<thead><tr><th aria-label="alive"></th><th>member</th><th>endpoint</th><th>health</th><th>priority / weight</th></tr></thead>
<tbody id="endpoints"></tbody>
</table>
<p><small>Peers: <span id="peers">not known</span></small></p>
<script>${script}</script>
</html>
`;

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = `default-src 'none'; connect-src 'self'; style-src ${hashOf(style)}; script-src ${hashOf(script)}; base-uri 'none'; frame-ancestors 'none'`;

/** The endpoint set as a page that keeps itself up to date. One file, nothing to build, nothing loaded from elsewhere. */
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
