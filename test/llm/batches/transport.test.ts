import { expect, test } from "vitest";
import { createBatchTransport, isMarkOf, type BatchProtocol } from "../../../src/llm/batches/transport.ts";
import type { Fetch } from "../../../src/llm/pooled-fetch.ts";

const clock = "Fri, 27 Nov 2026 05:00:00 GMT";

/** A provider that answers everything with one body, and keeps what it was sent. */
function providerOf(body: string, protocol: BatchProtocol) {
  const sent: { readonly init: RequestInit }[] = [];
  const answer: Fetch = (_, init) => {
    sent.push({ init: init ?? {} });
    return Promise.resolve(new Response(body, { headers: { date: clock } }));
  };
  return { sent, transport: createBatchTransport(answer, protocol) };
}

const lines = (...rows: readonly unknown[]) =>
  rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n");

test.each<[BatchProtocol, path: string, good: unknown, bad: string]>([
  [
    "openai",
    "files/f1/content",
    { custom_id: "a", response: { status_code: 200, body: {} } },
    '{"custom_id": "b", "resp',
  ],
  [
    "openai",
    "files/f1/content",
    { custom_id: "a", response: { status_code: 200, body: {} } },
    '{"custom_id":"b","response":null,"error":{"code":null,"message":"?"}}',
  ],
  [
    "anthropic",
    "messages/batches/m1/results",
    { custom_id: "a", result: { type: "expired" } },
    '{"custom_id":"b","result',
  ],
  ["google", "files/f1:download", { key: "a", response: {} }, '{"key":"b","error":3}'],
])(
  "%s: a line that cannot be read is an error of its row, and no other is touched",
  async (protocol, path, good, bad) => {
    const { transport } = providerOf(lines(good, bad, good), protocol);
    const response = await transport.fetch(`https://provider.test/v1/${path}`);
    const rows = (await response.text()).split("\n");
    expect(rows).toHaveLength(3);
    expect([rows[0], rows[2]]).toEqual([JSON.stringify(good), JSON.stringify(good)]);
    const mended = JSON.parse(rows[1]!) as { custom_id?: string; key?: string };
    expect(mended.custom_id ?? mended.key).toBe("b");
    expect(rows[1]).toContain("its result cannot be read");
    expect(rows[1]).toContain("unreadable_line");
  },
);

test("a batch of OpenAI's carries our name, is noted before it is sent, and is known by it in the list", async () => {
  const { transport, sent } = providerOf(
    JSON.stringify({ data: [{ id: "batch_1", metadata: { alpagasus: "ours" } }, { id: "batch_2" }] }),
    "openai",
  );
  const noted: number[] = [];
  transport.onSend.set("ours", () => noted.push(sent.length));
  await transport.fetch("https://provider.test/v1/batches", {
    method: "POST",
    headers: { [transport.markHeader]: "ours", "content-type": "application/json" },
    body: JSON.stringify({ input_file_id: "f1" }),
  });
  expect(noted).toEqual([0]);
  expect(JSON.parse(sent[0]!.init.body as string)).toEqual({ input_file_id: "f1", metadata: { alpagasus: "ours" } });
  expect(sent[0]!.init.headers).toEqual({ "content-type": "application/json" });
  await transport.fetch("https://provider.test/v1/batches?limit=100");
  expect([transport.markOf("batch_1"), transport.markOf("batch_2"), transport.markOf("batch_3")]).toEqual([
    "ours",
    null,
    undefined,
  ]);
  expect(transport.providerNow()).toBe(Date.parse(clock));
});

test("results of Anthropic's are where the batch was asked for, whatever address it names", async () => {
  const batch = {
    id: "m1",
    processing_status: "ended",
    results_url: "https://provider.test/v1/messages/batches/m1/results",
  };
  const { transport } = providerOf(JSON.stringify(batch), "anthropic");
  const response = await transport.fetch("https://gateway.test/proxy/v1/messages/batches/m1?beta=true");
  expect(await response.json()).toEqual({
    ...batch,
    results_url: "https://gateway.test/proxy/v1/messages/batches/m1/results",
  });
});

test("calls of Anthropic's carry our name too, and are their keys again in the results", async () => {
  const [id, other] = ["0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"];
  const [first, second, plain] = ["1", "2", "3"].map((digit) => digit.repeat(32));
  const seen: Response[] = [];
  const answer: Fetch = (_, init) => {
    const { requests } = JSON.parse((init?.body as string | undefined) ?? "{}") as {
      requests?: { custom_id: string }[];
    };
    const ids = requests?.map(({ custom_id }) => custom_id) ?? sentIds;
    sentIds = ids;
    const results = ids.map((custom_id) => JSON.stringify({ custom_id, result: { type: "expired" } }));
    results[1] = results[1]!.slice(0, -5); // a line that breaks off
    results.push(JSON.stringify({ custom_id: plain, result: { type: "expired" } })); // as before there were marks
    seen.push(new Response(results.join("\n")));
    return Promise.resolve(seen.at(-1)!);
  };
  let sentIds: string[] = [];
  const transport = createBatchTransport(answer, "anthropic");
  await transport.fetch("https://provider.test/v1/messages/batches", {
    method: "POST",
    headers: { [transport.markHeader]: id },
    body: JSON.stringify({ requests: [first, second].map((key) => ({ custom_id: key, params: {} })) }),
  });
  for (const sentId of sentIds) expect(sentId).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
  expect(sentIds[0]).not.toBe(first);
  const response = await transport.fetch("https://provider.test/v1/messages/batches/m1/results");
  const rows = (await response.text()).split("\n").map((line) => JSON.parse(line) as { custom_id: string });
  expect(rows.map(({ custom_id }) => custom_id)).toEqual([first, second, plain]);
  const mark = transport.markOf("m1");
  expect([isMarkOf(mark!, id), isMarkOf(mark!, other), transport.listsMarks]).toEqual([true, false, false]);
});
