import { describe, expect, test } from "vitest";
import { APICallError } from "@ai-sdk/provider";
import { redactor } from "../../src/llm/describe-key.ts";
import { readFailure } from "../../src/llm/failure.ts";

/** An error as undici throws it for a connection that fails. */
function networkError(code: string): Error {
  return new TypeError("fetch failed", { cause: Object.assign(new Error(code), { code }) });
}

describe("a connection that fails", () => {
  test.each(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"])(
    "with %s reached nobody, so nothing can be on the bill",
    (code) => {
      expect(readFailure(networkError(code), 0)).toMatchObject({
        kind: "retry",
        isUnreachable: true,
        mayBePaid: false,
      });
    },
  );

  test.each(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"])("with %s may have been answered", (code) => {
    expect(readFailure(networkError(code), 0)).toMatchObject({ kind: "retry", isUnreachable: false, mayBePaid: true });
  });

  test.each(["CERT_HAS_EXPIRED", "DEPTH_ZERO_SELF_SIGNED_CERT", "ERR_TLS_CERT_ALTNAME_INVALID"])(
    "with %s will not go better another time",
    (code) => {
      expect(readFailure(networkError(code), 0)).toMatchObject({ kind: "stop", isUsage: false });
    },
  );

  test("to several addresses of one host at a time is one failure", () => {
    const error = new AggregateError([Object.assign(new Error("no"), { code: "ECONNREFUSED" })]);
    expect(readFailure(error, 0)).toMatchObject({ kind: "retry", isUnreachable: true });
  });
});

test("whatever else is thrown is tried again, and may be on the bill", () => {
  for (const thrown of [new Error("odd"), "text", undefined, { code: 1 }])
    expect(readFailure(thrown, 0)).toMatchObject({ kind: "retry", mayBePaid: true });
});

test("a key is removed before a text is cut, also in other forms", () => {
  const key = "sk-0123456789abcdefghij+/=0123456789";
  const redact = redactor(key);
  for (const form of [key, encodeURIComponent(key), Buffer.from(key).toString("base64")]) {
    for (let before = 250; before <= 300; before++) {
      const message = `${"x".repeat(before)}${form} was not accepted`;
      const api = new APICallError({ message, url: "http://127.0.0.1/v1", requestBodyValues: {}, statusCode: 400 });
      for (const error of [api, new Error(message)]) {
        const { detail } = readFailure(error, 0, redact);
        expect(detail).not.toContain(form.slice(0, 6));
      }
    }
  }
});
