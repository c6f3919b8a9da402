import type { ReadResult } from "@etcd-edge/coalesce";
import { AnswerableCall } from "./answerable-call.ts";

/** A Range that is answered from memory, or whose cost others may share. */
export class SharedReadCall extends AnswerableCall {
  protected takes(): boolean {
    return true;
  }

  protected send({ head, body }: ReadResult & { readonly t: "answered" }): boolean {
    const { downstream, record } = this.options;
    record.counts.sent++;
    downstream.sendMessageParts(head, body);
    return true;
  }

  protected sendMore(): boolean {
    return true;
  }
}
