/** Tiers that clients look for, by the name they are found under in DNS and HTTP. */
export const tierNames = ["grpc-proxy", "http-gateway", "tcp-gateway"] as const;
export type TierName = (typeof tierNames)[number];

export function isTierName(text: string): text is TierName {
  return tierNames.some((name) => name === text);
}
