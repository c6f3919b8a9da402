import type { ResponseHeader } from "@etcd-edge/proto";
import type { ServiceError } from "@grpc/grpc-js";
import type { Action, Answer, Outcome } from "../history/operation.ts";
import type { CallClient } from "./call-client.ts";
import { toBytes, toRange, toSimpleAnswer, toStored, toTxnRequest } from "./convert.ts";
import { failureText, kv } from "./etcd-client.ts";
import type { Recorder } from "./recorder.ts";

/** Does an action and takes down how it went. @returns its outcome; never throws for a failed call */
export async function perform(
  recorder: Recorder,
  client: number,
  etcd: CallClient,
  action: Action,
): Promise<Outcome> {
  const invokedAt = recorder.now();
  const outcome = await send(etcd, action).catch(toFailure);
  recorder.operation(client, action, invokedAt, outcome, etcd.limitedUser);
  return outcome;
}

async function send(etcd: CallClient, action: Action): Promise<Outcome> {
  switch (action.t) {
    case "put": {
      const { key, value, lease } = action;
      const { header } = await etcd.ask(kv.put, { key: toBytes(key), value: toBytes(value), lease });
      return answered({ t: "put" }, header);
    }
    case "delete": {
      const { header, deleted } = await etcd.ask(kv.deleteRange, toRange(action.span));
      return answered({ t: "delete", deleted: Number(deleted) }, header);
    }
    case "range": {
      const { serializable, span, at: revision = 0n } = action;
      const { header, kvs } = await etcd.ask(kv.range, { ...toRange(span), serializable, revision });
      return answered({ t: "range", kvs: kvs.map(toStored) }, header);
    }
    case "txn": {
      const { header, succeeded, responses } = await etcd.ask(kv.txn, toTxnRequest(action));
      return answered({ t: "txn", succeeded, answers: responses.map(toSimpleAnswer) }, header);
    }
    default:
      return action satisfies never;
  }
}

function answered(answer: Answer, header: ResponseHeader | undefined): Outcome {
  return { t: "answered", answer, revision: header?.revision ?? 0n, clusterId: header?.clusterId ?? 0n };
}

/** Codes with which etcd says that it has not done it: invalid argument, not found, permission, precondition, auth. */
const refusals: readonly number[] = [3, 5, 7, 16];

function toFailure(error: unknown): Outcome {
  const { code } = error as Partial<ServiceError>;
  const reason = failureText(error);
  return code !== undefined && refusals.includes(code) ? { t: "refused", reason } : { t: "unknown", reason };
}
