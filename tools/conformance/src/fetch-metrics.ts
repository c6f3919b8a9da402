import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { get as getSecurely } from "node:https";
import { text } from "node:stream/consumers";

/** What a member says of itself at `/metrics`, asked without a check of its certificate. */
export async function fetchMetrics(clientUrl: string): Promise<string> {
  const options = { agent: false, rejectUnauthorized: false };
  const url = `${clientUrl}/metrics`;
  const request = clientUrl.startsWith("https:") ? getSecurely(url, options) : get(url, options);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return await text(response);
}
