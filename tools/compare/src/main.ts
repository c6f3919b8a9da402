import { findEtcdBinaries } from "@etcd-edge/testkit";
import { compareRow, isShown } from "./compare.ts";
import { rows } from "./rows.ts";

/** Prints the table, line by line as it comes. `npm run compare -- 1 12` runs those rows only. */
const chosen = process.argv.slice(2);
const wanted = rows.filter((row) => chosen.length === 0 || chosen.includes(row.id));
const binaries = await findEtcdBinaries();
if (wanted.length === 0 || binaries.length === 0) {
  process.stderr.write(wanted.length === 0 ? `no row ${chosen.join(", ")}\n` : "no etcd is installed\n");
  process.exit(1);
}

console.log("| row | what | etcd's proxy | saw | ours saw | |\n| --- | --- | --- | --- | --- | --- |");
let failures = 0;
let count = 0;
for (const row of wanted) {
  for (const binary of binaries.filter((one) => row.isIn(one.version))) {
    const comparison = await compareRow(row, binary);
    const { theirs, ours } = comparison;
    count++;
    if (!isShown(comparison)) failures++;
    const verdict = isShown(comparison) ? "✓" : ours.good ? "✗ theirs passes, too" : "✗ ours fails";
    const cells = [row.id, row.title, binary.version, theirs.seen, ours.seen, verdict];
    console.log(`| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`);
  }
}
console.log(`\n${count - failures} of ${count} as promised: etcd's proxy fails, ours passes`);
process.exitCode = failures === 0 ? 0 : 1;
