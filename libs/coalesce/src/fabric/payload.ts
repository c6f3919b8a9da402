/** A message's own fields and a seal take some of what may be sent. */
export const payloadReserveBytes = 4_096;
