import { writeFile } from "node:fs/promises";
import { apps, readmeOf, refreshFlagTable } from "./flag-table.ts";

// npm run readme: writes the flag table of every app's README anew.
for (const app of apps) {
  const { before, after } = await refreshFlagTable(app);
  if (before !== after) {
    await writeFile(readmeOf(app), after);
    console.log(`apps/${app}/README.md`);
  }
}
