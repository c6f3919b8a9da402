import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/*
 * Child process: answers every request with the bytes it was given, once it has read the body, and asks nobody. What it
 * costs is what node:http costs, the least that any door on it can. Arguments: headers (JSON: name, value, name, value), body.
 */
const [headers = "[]", body = ""] = process.argv.slice(2);
const answerHeaders = JSON.parse(headers) as string[];

const server = createServer((request, response) => {
  request.on("data", () => {});
  request.on("end", () => {
    response.writeHead(200, answerHeaders);
    response.end(body);
  });
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
