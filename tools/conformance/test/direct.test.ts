import { declareConformance } from "./declare-conformance.ts";

// Beside proxied.test.ts and not in one file with it: the two run at once.
declareConformance((place) => place.door === "direct");
