import { connect, createServer, type Socket } from "node:net";

/*
 * Child process: hands bytes on and does nothing else, with sockets as Node gives them. What it adds to a lone call is the
 * least that any door in Node adds: two more processes to wake. Arguments: port to listen on, port to connect to.
 */
const [listenPort = 0, targetPort = 0] = process.argv.slice(2).map(Number);

function forward(from: Socket, to: Socket): void {
  from.on("data", (chunk) => to.write(chunk));
  from.on("error", () => to.destroy());
  from.on("close", () => to.destroy());
}

const server = createServer({ noDelay: true }, (client) => {
  const target = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
  forward(client, target);
  forward(target, client);
});
server.listen(listenPort, "127.0.0.1", () => process.stdout.write("relay listens\n"));
