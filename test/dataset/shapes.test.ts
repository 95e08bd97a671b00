import { symlinkSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isApart } from "../../src/trainer/formats/format.ts";
import { toChatMessage } from "../../src/dataset/conversation.ts";
import { hashExample } from "../../src/dataset/example.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { readExamples } from "../helpers/examples.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

async function readRow(row: object, options?: Parameters<typeof openDataset>[1]) {
  using folder = tempFolder();
  const path = folder.write("data.json", [row]);
  const { shape } = await openDataset(path, options);
  const [{ instruction, input, output, category, id }] = (await readExamples(path, options)) as [
    Awaited<ReturnType<typeof readExamples>>[number],
  ];
  return { shape: shape.name, instruction, input, output, category, id };
}

describe("shapes", () => {
  it("finds Alpaca rows, with or without an input", async () => {
    expect(await readRow({ instruction: "a", input: "b", output: "c" })).toMatchObject({
      shape: "alpaca",
      instruction: "a",
      input: "b",
      output: "c",
    });
    expect(await readRow({ instruction: "a", input: null, output: "c" })).toMatchObject({ shape: "alpaca", input: "" });
  });

  it("finds texts of the user and the assistant in turn (UltraChat)", async () => {
    expect(await readRow({ id: "1", data: ["a", "b", "c", "d"] })).toMatchObject({
      shape: "ultrachat",
      instruction: "User: a\n\nAssistant: b\n\nUser: c",
      output: "d",
      id: "1",
    });
  });

  it("finds trees of messages, and takes the path that was ranked best", async () => {
    const message = (role: string, text: string, replies: object[] = [], more: object = {}) => ({
      role,
      text,
      replies,
      ...more,
    });
    const row = {
      message_tree_id: "t1",
      prompt: message("prompter", "a", [
        message("assistant", "worse", [message("prompter", "no")], { rank: 1 }),
        message("assistant", "gone", [], { rank: 0, deleted: true }),
        null as unknown as object,
        message("assistant", "better", [message("prompter", "why?", [message("assistant", "so")])], { rank: 0 }),
      ]),
    };
    expect(await readRow(row)).toMatchObject({
      shape: "oasst",
      instruction: "User: a\n\nAssistant: better\n\nUser: why?",
      output: "so",
      id: "t1",
    });
    await expect(readRow({ message_id: "m", parent_id: "p", role: "prompter", text: "a" })).rejects.toThrow(
      /a row is one message of a tree: join each tree to a conversation first/,
    );
  });

  it("finds Dolly rows with their category", async () => {
    expect(await readRow({ instruction: "a", context: "b", response: "c", category: "qa" })).toMatchObject({
      shape: "dolly",
      input: "b",
      output: "c",
      category: "qa",
    });
  });

  const turns = (...texts: string[]) =>
    texts.map((content, i) => ({ role: i % 2 === 0 ? "user" : "assistant", content }));
  const conversationOf = async (row: object, options?: Parameters<typeof openDataset>[1]) => {
    using folder = tempFolder();
    const [example] = await readExamples(folder.write("data.json", [row]), options);
    return example!;
  };

  it.each([
    ["alpaca", { instruction: "b", output: "c", system: "s", history: [["x", "y"]] }, 4],
    [
      "sharegpt",
      {
        conversations: [
          { from: "human", value: "b" },
          { from: "gpt", value: "c" },
        ],
        system: "s",
      },
      2,
    ],
    ["openorca", { system_prompt: "s", question: "b", response: "c" }, 2],
    [
      "conversation",
      {
        conversation: [
          { input: "a", output: "x" },
          { input: "b", output: "c" },
        ],
      },
      3,
    ],
    ["dialog", { dialog: turns("a", "x", "b", "c") }, 3],
    ["prompt-messages", { prompt: turns("a", "x", "b"), completion: [{ role: "assistant", content: "c" }] }, 3],
    ["prompt-chosen", { prompt: turns("a"), chosen: turns("a", "x", "b", "c") }, 3],
    ["prompt-chosen", { prompt: turns("a", "x", "b"), chosen: turns("b", "c"), response: "t" }, 3],
    [
      "prompt-messages",
      { prompt: turns("a"), completion: [{ role: "assistant", content: "x" }, ...turns("b", "c")] },
      3,
    ],
    [
      "prompt-chosen",
      {
        prompt: turns("a", "x", "b"),
        chosen: [{ role: "assistant", content: "c" }],
        rejected: [{ role: "assistant", content: "d" }],
      },
      3,
    ],
  ])("keeps the turns of %s rows, and shows them all to judges", async (name, row, count) => {
    const { output, instruction, conversation } = await conversationOf(row);
    expect((await readRow(row)).shape).toBe(name);
    expect(output).toBe("c");
    expect(conversation!.turns).toHaveLength(count);
    expect(conversation!.turns.at(-1)).toMatchObject({ role: "user", text: "b" });
    for (const { text } of conversation!.turns) expect(instruction).toContain(text);
  });

  it.each([
    ["query-response", { query: "a", response: "c" }],
    ["query-answer", { query: "a", answer: "c" }],
    ["question-answer", { question: "a", answer: "c" }],
    ["prompt-completion", { prompt: "a", completion: "c" }],
    ["prompt-response", { prompt: "a", response: "c" }],
  ])("finds %s rows", async (name, row) => {
    expect(await readRow(row)).toMatchObject({ shape: name, instruction: "a", output: "c" });
    expect((await conversationOf(row)).conversation).toBeUndefined();
  });

  it("shows calls of tools to judges, and keeps them", async () => {
    const call = { id: "c1", type: "function", function: { name: "book", arguments: '{"people":2}' } };
    const row = {
      messages: [
        { role: "user", content: "Book." },
        { role: "assistant", content: null, tool_calls: [call] },
      ],
      tools: [{ type: "function", function: { name: "book" } }],
    };
    const { output, instruction, conversation } = await conversationOf(row);
    expect(output).toBe('[calls book with {"people":2}]');
    expect(instruction).toContain("Tools: [");
    expect(toChatMessage(conversation!.answer)).toEqual({ role: "assistant", content: "", tool_calls: [call] });
    const glaive = await conversationOf({
      conversations: [
        { from: "human", value: "Rain?" },
        { from: "function_call", value: '{"name":"rain","arguments":{}}' },
        { from: "observation", value: "no" },
        { from: "gpt", value: "No rain." },
      ],
    });
    expect(glaive.instruction).toBe("User: Rain?\n\nAssistant: [calls rain with {}]\n\nTool: no");
  });

  it("reads calls as lists, as one alone, and as JSON text of these, and leaves none out", async () => {
    const call = { id: "c1", type: "function", function: { name: "book", arguments: { people: 2 } } };
    const older = { name: "book", arguments: { people: 2 } };
    const callsOf = async (more: object) =>
      (await conversationOf({ messages: [turns("a")[0], { role: "assistant", content: "Wait.", ...more }] }))
        .conversation?.answer.toolCalls;
    for (const calls of [[call], call, JSON.stringify([call]), JSON.stringify(call), [JSON.stringify(call)]])
      expect(await callsOf({ tool_calls: calls })).toEqual([{ id: "c1", name: "book", arguments: { people: 2 } }]);
    for (const calls of [
      { arguments: null, name: "f" },
      { id: null, type: "function", function: { name: "f", thought_signature: "x" } },
      { name: "f", description: "d", result: "1" },
    ])
      expect(await callsOf({ tool_calls: calls })).toEqual([{ name: "f", arguments: {} }]);
    for (const more of [
      { tool_call_id: "x" },
      { toolCallId: "x" },
      { cache_control: { type: "e" } },
      { created_at: 3 },
    ])
      expect(await callsOf({ tool_calls: [{ name: "f", ...more }] })).toEqual([{ name: "f", arguments: {} }]);
    for (const name of ["arguments_json", "body", "data", "fields", "content", "argumentsText", "city"]) {
      const calls = [{ type: "function", function: { name: "f", [name]: '{"city":"Paris"}' } }];
      await expect(callsOf({ tool_calls: calls })).rejects.toThrow(`to have its "arguments", got "${name}"`);
    }
    for (const calls of [older, JSON.stringify(older), [older, older]])
      expect((await callsOf({ function_call: calls }))![0]).toEqual(older);
    for (const none of [
      null,
      "",
      "null",
      "None",
      "nan",
      0,
      "[]",
      [],
      {},
      { name: null, arguments: null },
      { id: [], function: [] },
      [{ id: null, function: null }],
    ])
      expect(await callsOf({ tool_calls: none, function_call: none })).toBeUndefined();
    for (const wrong of ["book(people=2)", "[{", 3, [{ arguments: { a: 1 } }], { arguments: "{}" }])
      await expect(callsOf({ tool_calls: wrong })).rejects.toThrow(/messages\[1\].* to be (calls of tools|an object)/);
    // other words for arguments, and a list of objects as the Hub's tables keep it
    for (const calls of [
      [{ name: "book", args: { people: 2 } }],
      [{ name: "book", input: { people: 2 } }],
      { name: ["book"], arguments: [{ people: 2 }] },
    ])
      expect(await callsOf({ tool_calls: calls })).toEqual([older]);
    await expect(callsOf({ tool_calls: [{ name: "book", options: { people: 2 } }] })).rejects.toThrow(
      'expected the tool call book of messages[1] to have its "arguments", got "options"',
    );
    const parallel = await conversationOf({
      conversations: [
        { from: "human", value: "Rain?" },
        { from: "function_call", value: JSON.stringify([older, { ...older, name: "rain" }]) },
        { from: "gpt", value: "No." },
      ],
    });
    expect(parallel.conversation!.turns[1]!.toolCalls!.map(({ name }) => name)).toEqual(["book", "rain"]);
  });

  it("reads reasoning in parts and in the first field that has some, and names what it cannot read", async () => {
    const answerOf = async (more: object) =>
      (await conversationOf({ messages: [turns("a")[0], { role: "assistant", content: "c", ...more }] })).conversation
        ?.answer.reasoning;
    for (const more of [
      { reasoning_content: [{ type: "text", text: "why" }] },
      { reasoning: { content: "why" } },
      { reasoning_content: "", thinking: "why" },
      {
        reasoning: null,
        reasoning_details: [
          { type: "reasoning.text", text: "why" },
          { type: "reasoning.encrypted", data: "x" },
        ],
      },
      {
        reasoning_details: [
          { type: "reasoning.text", text: "why" },
          { type: "reasoning.text", text: null, signature: "x" },
        ],
      },
      { reasoning: { effort: "high" }, thinking: "why" },
      { reasoning: [{ type: "reasoning", summary: [{ type: "summary_text", text: "why" }] }] },
    ])
      expect(await answerOf(more)).toBe("why");
    expect(
      await answerOf({ reasoning_details: [{ type: "reasoning.encrypted", data: "x", provider: "y" }] }),
    ).toBeUndefined();
    expect(await answerOf({ reasoning: true, thinking: {}, reasoning_content: "false" })).toBeUndefined();
    await expect(answerOf({ reasoning: { steps: 3 } })).rejects.toThrow(/"reasoning" of messages\[1\] to be a text/);
    for (const content of ["", null]) {
      const refused = { role: "assistant", content, refusal: "I cannot." };
      await expect(conversationOf({ messages: [turns("a")[0], refused] })).rejects.toThrow(/got it in "refusal"/);
    }
  });

  it("takes no part for text that is an image or a call with an empty text", async () => {
    const readPart = (part: object) =>
      conversationOf({
        messages: [{ role: "user", content: [{ type: "text", text: "Look" }, part] }, turns("a", "c")[1]],
      });
    for (const [part, kind] of [
      [{ type: "image_url", text: "", image_url: { url: "x" } }, "image_url"],
      [{ type: "tool_use", text: "", name: "w", input: { a: 1 } }, "tool_use"],
      [{ type: "tool_result", text: "42", content: [{ type: "text", text: "42" }] }, "tool_result"],
      [{ text: "", image: { path: "x" } }, "another kind"],
      [{ type: "image_url", text: "Describe", image_url: "x" }, "image_url"],
      [{ text: "what is on it?", imageUrl: "x" }, "another kind"],
      [{ text: "now", functionCall: { name: "w" } }, "another kind"],
      [{ text: "look", image: 0 }, "another kind"],
      [{ text: "", image: 3 }, "another kind"],
      [{ text: "", image_index: 0 }, "another kind"],
      [{ text: "look", image_id: 7 }, "another kind"],
      [{ type: "redacted_text", content: "the [NAME] part" }, "redacted_text"],
      [{ type: "file_text", text: "", file: { id: 1 } }, "file_text"],
      [{ type: "tool-call", text: "x" }, "tool-call"],
      [{ type: "toolUse", text: "x" }, "toolUse"],
      [{ type: "image_text", text: "x" }, "image_text"],
    ] as const)
      await expect(readPart(part)).rejects.toThrow(`expected every part of messages[0] to be text, got ${kind}`);
    for (const part of [
      { type: "text", text: "!", image_url: null },
      { text: "!" },
      { type: "code", text: "!" },
      { text: "!", annotations: [], image: { url: null } },
      { text: "!", profile: "x", recall: 0.5 },
      { type: "document_text", text: "!" },
      { type: "redacted_text", text: "!" },
      { text: "!", file_index: 0, fileName: "x" },
      { type: "file_text", text: "!" },
    ])
      expect((await readPart(part)).instruction).toBe("Look!");
  });

  it("takes parts of reasoning apart, in the words of each provider", async () => {
    for (const part of [
      { text: "why", thought: true },
      { type: "thinking", thinking: [{ type: "text", text: "why" }] },
      { type: "reasoning", summary: [{ type: "summary_text", text: "why" }] },
    ]) {
      const content = [part, { type: "redacted_thinking", data: "x" }, { type: "text", text: "A" }];
      const { output, conversation } = await conversationOf({
        messages: [turns("a")[0], { role: "assistant", content }],
      });
      expect([output, conversation!.answer.reasoning]).toEqual(["A", "why"]);
    }
  });

  it("knows a row by its tools, wherever they stand", async () => {
    const hashOf = async (row: object) => hashExample(await conversationOf(row));
    const hashes = new Set<string>();
    for (const more of [{}, { tools: [{ name: "get_weather" }] }, { tools: [{ name: "rm_rf" }] }])
      hashes.add(await hashOf({ instruction: "a", output: "c", ...more }));
    expect(hashes.size).toBe(3);
    expect(await hashOf({ instruction: "a", output: "c", tools: [] })).toBe(
      await hashOf({ instruction: "a", output: "c" }),
    );
  });

  it("reads tools as a list, as one, and as JSON of these, and names what is none of it", async () => {
    const tool = { type: "function", function: { name: "look" } };
    const toolsOf = async (more: object) =>
      (await conversationOf({ messages: turns("a", "b"), ...more })).conversation?.tools;
    for (const tools of [[tool], tool, JSON.stringify([tool]), JSON.stringify(tool), [JSON.stringify(tool)]])
      expect(await toolsOf({ tools })).toEqual([tool]);
    for (const none of ["", [], null, "null", "None", {}, "{}", false])
      expect(await toolsOf({ tools: none, functions: [tool] })).toEqual([tool]);
    for (const tools of ["look(x): looks", "[{", { look: {} }, 3])
      await expect(toolsOf({ tools })).rejects.toThrow(/expected "tools" to be a list of tools, or JSON of one, got/);
  });

  it("reads marks of turns that are not to be learnt, and names others", async () => {
    const weightOf = async (mark: object) => {
      const messages = [turns("a")[0], { role: "assistant", content: "b", ...mark }];
      return (await conversationOf({ messages })).conversation?.answer.weight;
    };
    for (const mark of [{ weight: 0 }, { weight: "0" }, { train: false }, { train: "false" }, { weight: false }])
      expect(await weightOf(mark)).toBe(0);
    for (const mark of [{ weight: 1 }, { weight: null }, { train: true }, {}])
      expect(await weightOf(mark)).toBeUndefined();
    await expect(weightOf({ weight: 0.5 })).rejects.toThrow(/expected "weight" of messages\[1\] to be 0 or 1/);
  });

  it("takes reasoning at the head of an answer out of its text, and keeps what was written", async () => {
    const written = "<think>It is hot.</think>\n\nRed.";
    for (const row of [{ instruction: "a", input: "", output: written }, { messages: turns("a", written) }]) {
      const { output, conversation } = await conversationOf(row);
      expect(output).toBe("Red.");
      expect(conversation!.answer).toMatchObject({ reasoning: "It is hot.", written });
      expect(toChatMessage(conversation!.answer)).toEqual({ role: "assistant", content: written });
    }
    const apart = { messages: [turns("a")[0], { role: "assistant", content: "Red.", reasoning_content: "Hot." }] };
    expect(toChatMessage((await conversationOf(apart)).conversation!.answer)).toMatchObject({
      reasoning_content: "Hot.",
    });
  });

  it("takes several blocks of reasoning out, and those beside a field of reasoning, and writes both as they were", async () => {
    const several = "<think>One.</think>\n<think>Two.</think>\n\nRed.";
    const { output, conversation } = await conversationOf({ instruction: "a", input: "", output: several });
    expect([output, conversation!.answer.reasoning]).toEqual(["Red.", "One.\n\nTwo."]);
    const unopened = await conversationOf({ instruction: "a", input: "", output: "It is hot.\n</think>\n\nRed." });
    expect([unopened.output, unopened.conversation!.answer.reasoning]).toEqual(["Red.", "It is hot."]);
    for (const whole of [
      "Write </think>\n to end.",
      "Use:\n```\nfoo\n</think>\n```\nDone",
      "<p>\n</think>\nand\n</think>\n",
      "So <think>\n</think>\n",
    ])
      expect((await conversationOf({ instruction: "a", input: "", output: whole })).output).toBe(whole);
    const answer = { role: "assistant", content: "<think>Tag.</think>\n\nRed.", reasoning_content: "Field." };
    const both = await conversationOf({ messages: [turns("a")[0], answer] });
    expect([both.output, both.conversation!.answer.reasoning]).toEqual(["Red.", "Field.\n\nTag."]);
    expect(toChatMessage(both.conversation!.answer)).toEqual(answer);
    expect(isApart(both.conversation!.answer)).toBe(true); // so trainers that know no such field refuse it
    const nothing = { ...answer, content: "<think></think>" };
    const empty = await conversationOf({ messages: [turns("a")[0], nothing] });
    expect([empty.output, toChatMessage(empty.conversation!.answer)]).toEqual(["", nothing]);
  });

  it("reads a system text once, whichever way it is written, and passes over columns of other meaning", async () => {
    const twice = {
      system_prompt: "s",
      conversations: [
        { from: "system", value: "s" },
        { from: "human", value: "b" },
        { from: "gpt", value: "c" },
      ],
    };
    expect((await conversationOf(twice)).instruction).toBe("System: s\n\nUser: b");
    expect(await readRow({ instruction: "a", output: "b", history: "in 1990" })).toMatchObject({ instruction: "a" });
    expect(await readRow({ instruction: "a", output: "b", history: "[]" })).toMatchObject({ instruction: "a" });
    expect(
      (await conversationOf({ instruction: "a", output: "b", history: '[["x","y"]]' })).conversation!.turns,
    ).toHaveLength(3);
    const nulls = {
      messages: [turns("a")[0], { role: "assistant", content: "c", function_call: { name: null, arguments: null } }],
    };
    expect((await conversationOf(nulls)).conversation).toBeUndefined();
  });

  it("reads what stands beside a question in every shape, and names what it cannot read", async () => {
    const tools = [{ name: "weather", parameters: {} }];
    for (const row of [
      { instruction: "a", input: "", output: "c" },
      { question: "a", answer: "c" },
      { query: "a", response: "c" },
      { prompt: "a", completion: "c" },
      { instruction: "a", context: "", response: "c" },
      { prompt: [{ role: "user", content: "a" }], completion: [{ role: "assistant", content: "c" }] },
      { data: ["a", "c"] },
    ]) {
      const { conversation } = await conversationOf({ ...row, system_prompt: "s", tools });
      expect(conversation!.tools).toEqual(tools);
      expect(conversation!.turns.map(({ role, text }) => [role, text])).toEqual([
        ["system", "s"],
        ["user", "a"],
      ]);
    }
    const query = await conversationOf({ query: "a", response: "c", history: [["x", "y"]], system: null });
    expect(query.conversation!.turns.map(({ text }) => text)).toEqual(["x", "y", "a"]);
    const twice = { instruction: "a", output: "c", tools, functions: [{ type: "function", function: tools[0] }] };
    expect((await conversationOf(twice)).conversation!.tools).toEqual(tools);
    for (const [beside, problem] of [
      [{ system: ["s"] }, /expected "system" to be a text, got array/],
      [{ system_prompt: { text: "s" } }, /expected "system_prompt" to be a text/],
      [{ history: [["x", "y", "z"]] }, /expected "history" to be a list of pairs/],
      [{ tools, functions: [{ name: "other" }] }, /others in both/],
    ] as const) {
      await expect(readRow({ instruction: "a", output: "c", ...beside })).rejects.toThrow(problem);
      if (!("history" in beside))
        await expect(readRow({ messages: turns("a", "c"), ...beside })).rejects.toThrow(problem);
    }
    await expect(readRow({ messages: turns("a", "c"), tools: "weather" })).rejects.toThrow(/"tools" to be a list/);
    // columns of such names that mean something else are passed over, and told
    using folder = tempFolder();
    for (const empty of [
      { tools: "", functions: "None", history: "", system: null },
      { tools: 0, functions: {} },
    ]) {
      const path = folder.write("e.json", [{ instruction: "a", output: "c", ...empty }]);
      expect((await openDataset(path)).unused).toEqual([]);
    }
    for (const nearly of [
      { tools: '[{"name":"f","descrip' },
      { tools: { weather: { parameters: {} } } },
      { history: "[['x', 'y']]" },
      { history: [{ date: "2020", event: "fell" }] },
      { system: "A", system_prompt: "B" },
    ])
      await expect(readRow({ instruction: "a", output: "c", ...nearly })).rejects.toThrow(/rename|leave out/);
    const builtIn = [tools[0], { type: "code_interpreter" }];
    expect((await conversationOf({ instruction: "a", output: "c", tools: builtIn })).conversation!.tools).toEqual(
      builtIn,
    );
    expect((await conversationOf({ messages: turns("a", "c"), system: 3, system_prompt: "B" })).instruction).toMatch(
      /^System: B/,
    );
    const thought = [
      { role: "user", content: "x" },
      { role: "assistant", content: "<think>t</think>y" },
    ];
    const past = await conversationOf({ question: "a", answer: "c", history: thought });
    expect(past.conversation!.turns[1]).toMatchObject({ text: "y", reasoning: "t" });
    const others = {
      system: 7,
      history: "[1] In 1066 the Normans came.",
      tools: "calculator, search",
      functions: ["f"],
    };
    for (const beside of [
      others,
      { history: 0, tools: { add: "adds" } },
      { history: true, tools: "['hammer','saw']" },
    ]) {
      const path = folder.write("d.json", [{ instruction: "a", output: "c", ...beside }]);
      const dataset = await openDataset(path);
      expect(dataset.unused).toEqual(Object.keys(beside));
      for await (const [example] of dataset.batches()) expect(example!.conversation).toBeUndefined();
    }
    const messages = { question: "a", answer: "c", history: turns("x", "y"), chat_template_kwargs: '{"think":false}' };
    const { conversation } = await conversationOf(messages);
    expect(conversation!.turns.map(({ text }) => text)).toEqual(["x", "y", "a"]);
    expect(conversation!.templateOptions).toEqual({ think: false });
    // a column that was named for a field is that field alone
    expect(await readRow({ tools: "a", output: "c" }, { map: { instruction: "tools" } })).toMatchObject({
      instruction: "a",
    });
  });

  it("reads XTuner's pairs with their system texts", async () => {
    const pair = { system: "Be brief.", input: "a", output: "c" };
    expect((await conversationOf({ conversation: [pair] })).conversation!.turns).toMatchObject([
      { role: "system", text: "Be brief." },
      { role: "user", text: "a" },
    ]);
    await expect(readRow({ conversation: [{ ...pair, system: ["s"] }] })).rejects.toThrow(/"system" to be a text/);
    const both = await conversationOf({ conversation: [pair, { ...pair, input: "b" }] });
    expect(both.conversation!.turns.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user"]);
  });

  it("joins the parts of a content as they are, and keeps reasoning apart", async () => {
    const parts = (...texts: string[]) => texts.map((text) => ({ type: "text", text }));
    const thinking = [{ type: "thinking", thinking: "hm" }, ...parts("foo", "bar")];
    for (const content of [thinking, [{ type: "reasoning", text: "hm" }, ...parts("foo", "bar")]]) {
      const messages = [
        { role: "user", content: parts("Hello ", "world") },
        { role: "assistant", content },
      ];
      const { instruction, output, conversation } = await conversationOf({ messages });
      expect([instruction, output, conversation!.answer.reasoning]).toEqual(["Hello world", "foobar", "hm"]);
    }
  });

  it("takes a chat from a column that is named", async () => {
    expect(await readRow({ talk: turns("a", "c") }, { map: { messages: "talk" } })).toMatchObject({ output: "c" });
    await expect(readRow({ talk: turns("a", "c") }, { map: { messages: "talk", output: "x" } })).rejects.toThrow(
      /messages=COLUMN alone/,
    );
  });

  it("takes all of a conversation but the last assistant turn for the instruction", async () => {
    const conversations = [
      { from: "system", value: "Be brief." },
      { from: "human", value: "Hi" },
      { from: "gpt", value: "Hello" },
      { from: "human", value: "Bye" },
      { from: "gpt", value: "Goodbye" },
    ];
    expect(await readRow({ id: 7, conversations })).toMatchObject({
      shape: "sharegpt",
      instruction: "System: Be brief.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Bye",
      output: "Goodbye",
      id: "7",
    });
  });

  it("leaves a lone question as it stands, so that the same text is the same example in every shape", async () => {
    const chat = await readRow({
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: [{ type: "text", text: "c" }] },
      ],
    });
    expect(chat).toMatchObject({ shape: "messages", instruction: "a", output: "c" });
    expect(hashExample(chat)).toBe(hashExample(await readRow({ instruction: "a", output: "c" })));
    const half = (output: string) => hashExample({ instruction: "a", input: "", output });
    expect(half("\ud83d")).not.toBe(half("\ud83c")); // though in UTF-8 both are the same
  });

  it("takes columns under other names", async () => {
    const row = { prompt: "a", answer: "c", topic: 4, key: "k" };
    const map = { instruction: "prompt", output: "answer", category: "topic", id: "key" };
    expect(await readRow(row, { map })).toMatchObject({
      shape: "mapped",
      instruction: "a",
      output: "c",
      category: "4",
      id: "k",
    });
  });

  it("follows links to files, as caches of the Hub have them", async () => {
    using folder = tempFolder();
    const blob = folder.write("blobs/1.jsonl", '{"instruction":"a","output":"b"}\n');
    folder.write("snapshot/README.md", "");
    symlinkSync(blob, `${folder.path}/snapshot/data.jsonl`);
    symlinkSync("/nowhere", `${folder.path}/snapshot/broken.jsonl`);
    expect(await readExamples(`${folder.path}/snapshot`)).toHaveLength(1);
  });

  it("reads linked folders once, also where links go round", async () => {
    using folder = tempFolder();
    const row = (name: string) => `{"instruction":"${name}","output":"b"}\n`;
    folder.write("elsewhere/y.jsonl", row("y"));
    folder.write("data/x.jsonl", row("x"));
    folder.write("data/inner/z.jsonl", row("z"));
    symlinkSync(`${folder.path}/elsewhere`, `${folder.path}/data/shard`);
    symlinkSync(`${folder.path}/elsewhere`, `${folder.path}/data/shard-again`);
    symlinkSync(`${folder.path}/data/inner`, `${folder.path}/data/same`);
    symlinkSync(folder.path, `${folder.path}/data/inner/up`);
    symlinkSync(`${folder.path}/elsewhere`, `${folder.path}/data/.hidden`);
    // one link into a folder, another to the folder, in this order; and one in a folder that is hidden
    folder.write("big/one.jsonl", row("one"));
    folder.write("big/sub/two.jsonl", row("two"));
    folder.write("more/.cache/x.jsonl", row("hidden"));
    symlinkSync(`${folder.path}/big`, `${folder.path}/more/.cache/big`);
    symlinkSync(`${folder.path}/big/sub`, `${folder.path}/more/a`);
    symlinkSync(`${folder.path}/big`, `${folder.path}/more/b`);
    expect((await readExamples(`${folder.path}/more`)).map(({ instruction }) => instruction)).toEqual(["two", "one"]);
    const found = await readExamples(`${folder.path}/data`);
    expect(found.map(({ instruction }) => instruction)).toEqual(["z", "y", "x"]);
  });

  it("reads a folder's files in the order of their paths, and a pattern's", async () => {
    using folder = tempFolder();
    for (const name of ["b/2.jsonl", "a/1.jsonl", "c.jsonl", ".hidden/x.jsonl", "README.md"])
      folder.write(name, `{"instruction":"${name}","output":"b"}\n`);
    expect((await readExamples(folder.path)).map((example) => example.instruction)).toEqual([
      "a/1.jsonl",
      "b/2.jsonl",
      "c.jsonl",
    ]);
    expect(
      (await readExamples(`${folder.path}/*/*.jsonl`)).map((example) => [example.index, example.instruction]),
    ).toEqual([
      [0, "a/1.jsonl"],
      [1, "b/2.jsonl"],
    ]);
  });
});
