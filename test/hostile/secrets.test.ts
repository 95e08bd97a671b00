import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redactor } from "../../src/llm/secrets.ts";
import { withoutPassword, withoutPasswords } from "../../src/without-password.ts";

/* Keys and passwords never appear in files, logs and messages, however a server or a library writes them. */

describe("a key", () => {
  const key = "sk-live+AB/cd=Ef_1234567890";
  const redact = redactor(key);
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const forms: Record<string, string> = {
    "as it is": key,
    "in capitals": key.toUpperCase(),
    "in an address": encodeURIComponent(key),
    "with every byte escaped": Buffer.from(key)
      .toString("latin1")
      .replace(/./gs, (c) => `%${c.charCodeAt(0).toString(16)}`),
    "in JSON with escaped slashes": key.replaceAll("/", "\\/"),
    "in hexadecimal": Buffer.from(key).toString("hex"),
    "over several lines": key.replace(/.{9}/g, "$&\n"),
    "with spaces between": Array.from(key).join(" "),
    "with characters that nobody sees": Array.from(key).join("\u200b"),
    "in escapes of JSON": key.replace(/[a-z]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`),
    "in escapes of C": key.replace(/[a-z]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`),
    "in escapes of HTML": key.replace(/[a-z]/g, (c) => `&#${c.charCodeAt(0)};`),
    "in full width": key.replace(/[!-~]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0)),
    "in Base64 with line breaks": base64(key).replace(/.{10}/g, "$&\r\n"),
    "in Base64 twice": base64(base64(key)),
    backwards: Array.from(key).toReversed().join(""),
    "without its end": key.slice(0, -2),
    "without its beginning": key.slice(5),
    "its first half": key.slice(0, 15),
  };

  test.each(Object.entries(forms))("%s", (_, form) => {
    expect(redact(`said "${form}" and more`)).toMatch(/^said "[^a-z0-9]*\[key\][^a-z0-9]*" and more$/i);
  });

  test.each(["***", "...", "…", "xxxxxx", "[REDACTED]", "<hidden>"])("with its middle written as %s", (mask) => {
    expect(redact(`wrong key ${key.slice(0, 12)}${mask}${key.slice(-6)}, see`)).toBe("wrong key [key], see");
    const short = `wrong key ${key.slice(0, 6)}${mask}${key.slice(-4)}, see`; // less than half is shown, to find the key again by
    expect(redact(short)).toBe(short);
  });

  test("in Base64 at any alignment, beside what else was encoded", () => {
    for (const before of ["", "x", "us", "user:"])
      for (const after of ["", "!", ":end"]) {
        const text = redact(base64(before + key + after));
        expect(text).toContain("[key]");
        // what is left beside it decodes to no more than some characters of the key
        const left = text
          .split("[key]")
          .map((part) => Buffer.from(part.replace(/=+$/, ""), "base64").toString("latin1"));
        for (const part of left) expect(part.includes(key.slice(0, 4)) || part.includes(key.slice(-4))).toBe(false);
      }
  });

  test("in a reply, which is data: the whole key alone, and none that is a word", () => {
    expect(redact(`4 because ${key}, ${encodeURIComponent(key)}`, "reply")).toBe("4 because [key], [key]");
    expect(redact(`4 because ${key.slice(0, 16)}`, "reply")).toBe(`4 because ${key.slice(0, 16)}`);
    for (const word of ["test", "12345", "EMPTY", "none", "my-server-key"]) {
      const text = `Rating: 4.12345, a test of none, EMPTY or my-server-key`;
      expect(redactor(word)(text, "reply")).toBe(text);
      expect(redactor(word)(text)).toContain("[key]");
    }
  });

  test("leaves all other text as it is", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 200 }),
        fc.string({ unit: "binary", maxLength: 50 }),
        (a, b) => {
          fc.pre(![a, b].some((text) => /sk-live|567890|2d6c6976|c2st/i.test(text)));
          expect(redact(a)).toBe(a);
          expect(redact(`${a} ${key} ${b}`)).toBe(`${a} [key] ${b}`);
        },
      ),
    );
  });
});

describe("a password in an address", () => {
  test.each([
    ["user:passw0rd@127.0.0.1:99999", "127.0.0.1:99999"],
    ["user:pa/ssw0rd@127.0.0.1:9", "127.0.0.1:9"],
    ["user:passw0rd@h", "h"],
    ["http://user:pa/ssw0rd@h/v1#m", "http://h/v1#m"],
    ["HTTP://user:passw0rd@h", "HTTP://h"],
    [" http://user:passw0rd@h", " http://h"],
    ["http:user:passw0rd@h/v1#m", "http:h/v1#m"],
    ["http:\\\\user:passw0rd@h", "http:\\\\h"],
    ["http://a/v1,user:passw0rd@b/v1#m@rev", "http://a/v1,b/v1#m@rev"],
    ["ray:http://user:pa/ssw0rd@h:1", "ray:http://h:1"],
    ["ray:user:passw0rd@h", "ray:h"],
    ["http://h/v1?api-key=secret", "http://h/v1?…"],
    ["ray:http://h?token=secret", "ray:http://h?…"],
    ["http://user:hunter2#secret@h/v1", "http://h/v1"],
    ["http://user:hunter2,secret@h/v1", "http://h/v1"],
    ["http://user:pass?word@h/v1", "http://h/v1"],
    ["http://h:8000/v1#org/model@rev", "http://h:8000/v1#org/model@rev"],
    ["http://[::1]:8000/v1#qwen@q4", "http://[::1]:8000/v1#qwen@q4"],
    ["http://a:80/v1,http://b/v1#m", "http://a:80/v1,http://b/v1#m"],
  ])("%s", (address, shown) => {
    expect(withoutPassword(address)).toBe(shown);
  });

  test("in the middle of a message", () => {
    expect(withoutPasswords('got "http://user:pa/ssw0rd@h/v1" and ws://u:p@x')).toBe('got "http://h/v1" and ws://x');
    for (const text of [
      "mail a@b.c, and see https://h/path",
      "http://127.0.0.1:8000/v1#qwen@main: no such model",
      "https://h:443/@scope/name",
      "/a//b:c@d/e.jsonl",
      "C:\\data\\a@b.json",
    ])
      expect(withoutPasswords(text)).toBe(text);
  });
});
