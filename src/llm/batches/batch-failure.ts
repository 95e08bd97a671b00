import { APICallError, type Experimental_BatchV4Error as BatchError } from "@ai-sdk/provider";
import type { Failure } from "../failure.ts";

/** Whether a batch was certainly not created: no server was reached, or the provider refused. */
export function isRefusal(error: unknown, failure: Failure): boolean {
  if (!APICallError.isInstance(error))
    return failure.kind === "stop" || (failure.kind === "retry" && failure.isUnreachable);
  const { statusCode } = error;
  if (statusCode === undefined) return failure.kind === "stop" || (failure.kind === "retry" && failure.isUnreachable);
  return statusCode >= 300 && statusCode < 500 && statusCode !== 408;
}

/** Turns the error of a call in a batch into the error that the same call would get directly. */
export function asCallError({ message, type, code, statusCode }: BatchError): APICallError {
  const status = statusCode ?? statuses[code ?? ""] ?? statuses[type ?? ""] ?? 500;
  return new APICallError({
    message,
    url: "",
    requestBodyValues: {},
    statusCode: status,
    responseBody: JSON.stringify({ error: { message, type: type ?? null, code: code ?? null } }),
  });
}

/** The HTTP status that belongs to each error name: Anthropic's, OpenAI's, and Google's (gRPC names and numbers). */
const statuses: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
  invalid_response: 500,
  invalid_batch_result: 500,
  unsupported_content: 400,
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
  "3": 400,
  "5": 404,
  "7": 403,
  "8": 429,
  "9": 400,
  "13": 500,
  "14": 503,
  "4": 504,
};
