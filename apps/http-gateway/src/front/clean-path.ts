/** Normalises a path as Go's `http.ServeMux` does: no `//`, `.` or `..`, a leading slash, a last slash kept. */
export function cleanPath(path: string): string {
  if (path.startsWith("/") && !mayBeUnclean.test(path)) return path;
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") kept.pop();
    else kept.push(segment);
  }
  const cleaned = `/${kept.join("/")}`;
  return path.endsWith("/") && cleaned !== "/" ? `${cleaned}/` : cleaned;
}

/** Nearly every path passes this and needs no taking apart. */
const mayBeUnclean = /\/[/.]/;
