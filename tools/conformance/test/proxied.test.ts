import { declareConformance } from "./declare-conformance.ts";

declareConformance((place) => place.door !== "direct");
