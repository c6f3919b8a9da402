export const schemaVersions: readonly string[] = ["3.4", "3.5", "3.6", "3.7"];
