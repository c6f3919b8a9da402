import { type ErrorShape, type JsonProfile, profileV1, profileV2 } from "./json-profile.ts";
import { profileOfVersion } from "./version-profile.ts";

/** An HTTP answer of the upstream's own JSON door. */
export interface DoorAnswer {
  readonly status: number;
  readonly body: string;
}

/** What can be asked about the upstream. Each question answers nothing where there is no answer to be had. */
export interface ProfileQuestions {
  /** POSTs to the upstream's own JSON door. */
  askDoor(path: string, body: string): Promise<DoorAnswer | undefined>;
  /** The version that the upstream's Maintenance.Status names. */
  askVersion(): Promise<string | undefined>;
}

/**
 * Finds out how the upstream speaks JSON. Builds of one version differ (distributions link other releases of
 * grpc-gateway), so its own door is asked first, by two requests that must fail and change nothing: a range
 * without a key shows the shape of errors, a leadership transfer to a member that does not exist the status of
 * FailedPrecondition. Where there is no door the version decides.
 */
export async function detectProfile(questions: ProfileQuestions): Promise<JsonProfile | undefined> {
  const range = await questions.askDoor("/v3/kv/range", "{}");
  const errorShape = range === undefined ? undefined : shapeOf(range.body);
  if (errorShape === "code-message") return profileV2;
  if (errorShape !== undefined) {
    const transfer = await questions.askDoor("/v3/maintenance/transfer-leadership", '{"targetID":"1"}');
    return { ...profileV1, errorShape, failedPreconditionStatus: transfer?.status === 412 ? 412 : 400 };
  }
  const version = await questions.askVersion();
  return version === undefined ? undefined : profileOfVersion(version);
}

function shapeOf(body: string): ErrorShape | undefined {
  let keys: string;
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    keys = Object.keys(parsed).join("-");
  } catch {
    // Not JSON: an HTML page or a plain 404, so no JSON door.
    return undefined;
  }
  switch (keys) {
    case "error-message-code":
    case "error-code-message":
    case "code-message":
      return keys;
    default:
      return undefined;
  }
}
