import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/**
 * What to put before a command so that it runs in network and mount namespaces of its own: nobody else has port 53 there,
 * and `/etc/resolv.conf` can be covered. Loopback is there, but down.
 *
 * @returns program and first arguments
 * @throws Error that says what to allow, where this machine lets us have none
 */
export async function findOwnNetwork(): Promise<readonly [string, ...string[]]> {
  const inside = ["--net", "--mount"];
  const ways: readonly [string, ...string[]][] = [
    ["unshare", ...inside, "--map-root-user"],
    ["unshare", ...inside],
    ["sudo", "-n", "--preserve-env", "unshare", ...inside],
  ];
  for (const way of ways) {
    const [program, ...args] = way;
    const works = await execute(program, [...args, "true"]).then(
      () => true,
      () => false, // the next way, then
    );
    if (works) return way;
  }
  throw new Error(
    "this test needs namespaces: run it as root, or allow unprivileged ones (unshare --map-root-user)",
  );
}
