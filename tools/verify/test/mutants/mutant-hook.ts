import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { mutants } from "./mutants.ts";

/*
 * Loaded by `node --import` before one of our apps: puts the mutant named by VERIFY_MUTANT into the one file it changes,
 * as that is loaded. Nothing on disk changes. A text that is not there exactly once ends the process: a mutant that
 * mutates nothing would prove nothing.
 */
const root = join(import.meta.dirname, "..", "..", "..", "..");
const name = process.env["VERIFY_MUTANT"] ?? "";
const mutant = mutants[name];
if (mutant === undefined) throw new Error(`no mutant ${JSON.stringify(name)}`);
const { file, find, replace } = mutant;
const target = pathToFileURL(join(root, file)).href;

registerHooks({
  load: (url, context, nextLoad) => {
    const loaded = nextLoad(url, context);
    if (url !== target) return loaded;
    const parts = String(loaded.source).split(find);
    if (parts.length !== 2) throw new Error(`${file} has the text of ${name} ${parts.length - 1} times`);
    process.stderr.write(`mutant: ${name}\n`);
    return { ...loaded, source: parts.join(replace) };
  },
});
