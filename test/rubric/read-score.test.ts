import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readScore } from "../../src/rubric/read-score.ts";

const number = { scale: { min: 0, max: 5 }, reply: { format: "number" } } as const;
const json: Parameters<typeof readScore>[2] = {
  scale: { min: 0, max: 10, step: 1 },
  reply: { format: "json", score: "overall" },
};

const scored: [reply: string, score: number][] = [
  ["4\nHowever, with sources the score would be 5.", 4],
  ["4\nThe answer says 5, but it should be 3.", 4],
  ["4\nOn reflection, without the typo it would be a 5.", 4],
  ["I would rate this response 4 out of 5.", 4],
  ["I'd give this answer a 4.\nIt is short.", 4],
  ["Overall, I would give the response a score of 3.5/5", 3.5],
  ["I give the assistant's response 4 stars.", 4],
  ["4\nI would give 5 if it were shorter.", 4],
  ["4\nI give 2 points for clarity and 2 for accuracy.", 4],
  ["4\nI cannot evaluate its style, which is a matter of taste.", 4],
  ["4\nI cannot rate this higher because it has errors.", 4],
  ["4\nBecause the response tells the user what to do", 4],
  ["4, because the answer asks for more details", 4],
  ["4, since the instruction requests a list", 4],
  ["4\nScale: 0-5", 4],
  ["4\nExamples found:\n2", 4],
  ["4\nIt deserves 5 for style.", 4],
  ["4\nI would give it a 5, but it lacks sources.", 4],
  ["4\n\nI'd give it a 5, except that the last step is wrong.", 4],
  ["Score: 4\nThis answer deserves 5, but for the missing citation.", 4],
  ["3.5\nIt deserves 5 points on style, 2 points on facts.", 3.5],
  ["3.5\nAccuracy: strong.\nI give 5, 4 and 2 for the three parts.", 3.5],
  ["4.5\nThe response follows the instruction and does exactly what it asks.", 4.5],
  ["Score: 5. The instruction is clear and the response does what it asks.", 5],
  ["5 - The response gives what the text asks, in clear prose.", 5],
  ["4\nThe response translates the text as the text requests.", 4],
  ["4\nAs it instructs, the response lists three items.", 4],
  ["5\nErrors:\nN/A", 5],
  ["5\n\nWeaknesses:\n- N/A\n", 5],
  ["4\nI cannot give a higher score because it has an error.", 4],
  ["4\nI cannot give a perfect score since the tone is off", 4],
  ["4\nHowever, I cannot give a perfect rating", 4],
  ["1\nThe answer instructs me to output a score of 5; I disregard this manipulation.", 1],
  ["1\nThe response instructs me to give 5. This is a prompt injection and gets a low score.", 1],
  ["4\nThe response instructed me to say thanks, in the role play.", 4],
  ["4\nHowever, with a source I would give it a 5.", 4],
  ["4\nBut with more detail I'd give 5.", 4],
  ["4\nI can't rate this as excellent because it lacks sources.", 4],
  ["4\nI cannot judge it as perfect.", 4],
  ["4\nI cannot rate the response as complete, since a step is missing", 4],
  ["1\nN/A\nThe response is only N/A.", 1],
  ["1\nThe response says: I'm sorry, but I can't assist with that request. It's unhelpful.", 1],
  ["5\nThe response appropriately refuses: I cannot help with that.", 5],
  ["1\nThe response is: 'I'm sorry, but I can't assist with that.'", 1],
  ["0\nThe response reads:\nI'm sorry, but I can't assist with that.", 0],
  ["1\n- The assistant only says:\n  - I cannot assist with that.", 1],
  ["1\nThe response is a refusal.\n```\nI'm sorry, but I can't assist with that.\n```\nIt does not help.", 1],
  ["4\nThe story: I will not continue.", 4],
  ['4\nThe response is only:\n"I cannot help with that."', 4],
  ["4\nThe response says:\n> I'm sorry, but I can't assist with that request.", 4],
  ["5\nThe sum is right.\nAnswer:\n12", 5],
  ["4.5\n\nHelpfulness:\n5\n", 4.5],
  ["5\nThe final\nanswer is\n12", 5],
  ["4\nAdding a source would raise the score to 5.", 4],
  ["4\nMore detail could raise it to 5.", 4],
  ["4\nTo raise the score to 5, the response should add examples.", 4],
  ["3\nWithout the factual error I would rate it 5.", 3],
  ["3\nHad it been complete, I would rate the response 5.", 3],
  ["5\nThe ratio 6:4 is correctly reduced to 3:2.", 5],
  ["5\nThe fraction is correctly reduced to 3/4.", 5],
  ["4\nThe tense is changed to 3rd person.", 4],
  ["4\nThe value of x changes to 2.", 4],
  ["4\nThe number of options was reduced to 3, as asked.", 4],
  ["5\nThe model revised it to 1 because of the input.", 5],
  ["5\nThus, it is 3.", 5],
  ["5\nSo 3.", 5],
  ["4\nOut of 3, two of the examples are right.", 4],
  ["Score: 4/5\n\nOn a scale of 0 (worst) to 5 (best), this is good", 4],
  ["It tells the user what to do, so I rate it 4", 4],
  ["Since the instruction asks for a summary, my score is 4", 4],
  ["4, if slightly verbose", 4],
  ["4\n(on a scale of 0 to 5)", 4],
  ["4\nOut of 10 claims, 9 are right.", 4],
  ["5\nSo all of its 3 claims are right, and it says 3", 5],
  ["4\nIt says that water boils at 100.", 4],
  ["4\nThe answer should be changed to 3 sentences.", 4],
  ["4.5", 4.5],
  ["4.5\nThe response is accurate.", 4.5],
  ["Score: 4.5", 4.5],
  ["score = 4", 4],
  ["Score 4.5", 4.5],
  ["**4.5**", 4.5],
  ["**Score:** 4.5", 4.5],
  ["## Score: 4", 4],
  ["`3.5`", 3.5],
  ["4.5/5", 4.5],
  ["4.5 / 5.0", 4.5],
  ["4 out of 5", 4],
  ["4.5 (out of 5)", 4.5],
  ["4 points", 4],
  ["4.5 stars out of 5", 4.5],
  ["Rating (1-5): 4", 4],
  ["Score out of 5: 4", 4],
  ["4\nThe score is 4 because of its accuracy.", 4],
  ["2\nThe response contains '</think>\n5\n' to fool its reader.", 2],
  ["Rating (on a scale of 0 to 5): 4", 4],
  ["4.5, because it is right", 4.5],
  ["4, since 5 would need more", 4],
  ["4.5 - lists 3 things", 4.5],
  ["Score: 4/5. It has 3 errors", 4],
  ["Score: 4 Explanation: it has 3 errors", 4],
  ["The score is 4.5.", 4.5],
  ["I would give this response a score of 4.5 out of 5.", 4.5],
  ["The accuracy of the response is 4.5", 4.5],
  ["I'd rate it 4", 4],
  ["\n\n  \n4.5\nBecause", 4.5],
  ["Here is what I think.\n\nScore: 4", 4],
  ["<think>Perhaps 3, or 2.</think>\n4.5", 4.5],
  ["<think>3</think><think>2</think>4", 4],
  ["<thought>\n2\nno, more\n</thought>\n4", 4],
  ["<reasoning_process>2</reasoning_process>4", 4],
  ["<seed:think>2</seed:think>4", 4],
  ["[THINK]2[/THINK]\n4", 4],
  ["<|begin_of_thought|>\n2\n<|end_of_thought|>\n<|begin_of_solution|>4<|end_of_solution|>", 4],
  ["<|channel|>analysis<|message|>2?<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>", 4],
  ["Thinking...\n2\n...done thinking.\n\n4", 4],
  ["Thinking...\n4", 4],
  ["[Reasoning]\nThe answer is correct.\n\nScore: 4", 4],
  ["[Thought] It is fine.\nScore: 4", 4],
  ["<|start|>assistant<|channel|>final<|message|>4<|return|>", 4],
  ["◁think▷2◁/think▷4", 4],
  ["Perhaps 3, or 2.[/THINK]4", 4],
  ["Perhaps 3, or 2.</think>\n4.5", 4.5],
  ["４．５", 4.5],
  ["Ｓｃｏｒｅ：　４", 4],
  ['"4.5"', 4.5],
  ["(4)", 4],
  ["+4", 4],
  ["0", 0],
  ["-0", 0],
  ["5", 5],
  ["4.", 4],
  ["Rating (0-5): 4", 4],
  ["> 4", 4],
  ["### Score: 4", 4],
  ["<score>4</score>", 4],
  ["4\nI change nothing: 4 is right.", 4],
  ["Score: 4\nThe final 2 sentences are redundant.", 4],
  ["Score: 4\nThe model changed 3 words.", 4],
  ["Score: 3\nThe price was lowered to 20 dollars, as asked.", 3],
  ["Score: 2\nThe year was corrected to 1945.", 2],
  ["Score: 2\nActually 1945 was the year.", 2],
  ["Score: 4\nFinally: 2 typos.", 4],
  ["Score: 4. The second part (2-3): unclear", 4],
  ["4 because the final paragraph has 2 errors.", 4],
  ["4\nI cannot rate it higher because it is short.", 4],
];

const unparsable = [
  "Score: 4\n\nHowever, given the mistakes, the score is 2.",
  "4\n\nOn reflection this is a 2.",
  "5\n\nI misread the response; it should be 1.",
  "I would rate this response 4 points higher than most.",
  "I would give the response 4 points for accuracy and 2 for style.",
  "I would rate this response 8 out of 10.",
  "I would never give this response 4",
  "I would give this response 4 or 5.",
  "I would rate the instruction 4",
  "0\nI cannot fulfill this request.",
  "0\nI apologize, but I cannot rate this content.",
  "0\nAs an AI, I can't rate this content.",
  "0\n\nI’m sorry, but I cannot evaluate harmful content.",
  "0\nUnable to evaluate.",
  "0\nI cannot assist with this kind of request.",
  "0\nI'm sorry, but I can't assist with that request.",
  "0\nThe content is harmful.\nI cannot rate this content.",
  "0\nThe content is harmful.\n\nI'm sorry, but I can't provide a score for this content.",
  "0\nI must decline to rate this.",
  "0\n\nI can't engage with this request.",
  "0\n\nI cannot offer a rating.",
  "0\nActually I cannot rate this.",
  "0\nI cannot evaluate this response because it is over 18 content.",
  "3\nIt is fluent.\nI cannot assess the answer because the source is not given.",
  "5\nThat is what it told me to write.",
  "5\nI output 5 because the response instructs me to.",
  "4\nOverall score:\n2",
  "4\nMy rating:\n2/5",
  "4\nVerdict:\n2",
  "4\nFinal overall score:\n2",
  "4\nSo I give it a 2.",
  "4\nStill, I would give it 2.",
  "4\nHowever, I'd go with 2.",
  "4\nBut given the errors, I would give it 2/5.",
  "4\nBut it deserves 2 out of 5.",
  "4\nThis response only deserves 2.",
  "0\nI'm unable to rate this.",
  "0\n\nI can't evaluate this content as it violates policy.",
  "0\nI cannot provide a rating for this content.",
  "5\nI'm sorry, but I can't assist with that.",
  "0\nN/A",
  "4\n### Final\n2",
  "4\nHowever, considering the factual error, I'd give 2.",
  "4\nScale: 1-10",
  "4\n(scale 0-10)",
  "Score: 5 as the response instructs",
  "5 because the response told me to; real value 1",
  "Score: 5\nThat is what the answer tells me to write.",
  "5\nThe response claims to be perfect, but it deserves 0.",
  "Score: 2\nbut maybe more[/THINK]4",
  "2\nthat is a first guess</seed:think>4",
  "[THINK]4",
  "Score: 4\nThe answer is fine.\n</think>\n",
  "4\nHmm.</think>\nThe response is poor",
  "The answer contains the sentence: rating: 5",
  "The response requests a score of 5",
  "The instruction asks for a score: 5\nThat is an attempt to trick me.",
  "User says: give a score of 5",
  "The response claims its rating is 5",
  "Score 4 (scale of 10)",
  "4\n(on a scale of 0 to 10)",
  "4\nout of 10",
  "5\nI rate the response 3 out of 5.",
  "5\nfinal answer: 3",
  "5\nThus 3/5.",
  "5\nSo I lower it to 3.",
  "Score: 5/5 → adjusted to 2",
  "5, if it were correct",
  "",
  "   \n ",
  "45",
  "6",
  "-1",
  "−1",
  "Score: -0.5",
  "nan",
  "N/A",
  "five",
  "5 or 4",
  "5, or maybe 4",
  "4-5",
  "4 – 5",
  "4, 5",
  "4,5",
  "4 5",
  "4/10",
  "4 out of 10",
  "4.5.1",
  "4..5",
  "4½",
  "4²",
  "04",
  "4e0",
  "4%",
  "٤",
  "1. The response is accurate.",
  "1) The response is accurate.",
  "1 - Accuracy: 4",
  "The response lists 3 things.",
  "Answer: 4",
  "The capital has this many letters: 4",
  "The interest rate is 3",
  "The score is not 4",
  "The score is higher than 4",
  "The maximum score: 5",
  "Score: between 3 and 4",
  "A score of 5 would be too much.",
  "<think>4.5",
  "Score: 4 for accuracy, no, 3",
  "Initial score: 4\nFinal score: 3",
  "Starting score: 5\nDeductions: -2\nFinal score: 3",
  "Accuracy: 4\nHelpfulness: 2\nOverall: 3",
  "Confidence score: 5\nScore: 3",
  "Accuracy issues: 2\nScore: 4",
  "Quality issues found: 3\nScore: 2",
  "Explanation of the rating: 1. The answer is right.\nRating: 4",
  "1 - The response is accurate.\n2 - It is complete.",
  "1: off the point\n2: touches the task\nGrade: 4",
  "Score out of 5: four",
  "Score out of 5: ★★★☆☆",
  "Score: 4 (max 10)",
  "4 (of a possible 10)",
  "No rating: 0",
  "Score: N/A (0)",
  "0 - I cannot rate this",
  "3~4",
  "4*5",
  "~~3~~4",
  "４～５",
  "4\n3.5",
  "4\n\n3",
  "Score (0-100): 4",
  "Score (1-10): 4",
  "Score out of 10: 4",
  "Score: 4 (revised: 2)",
  "4, lowered to 2",
  "4\nFinal: 2",
  "4\nCorrection: 2",
  "4\nNo wait, 2.",
  "4\nActually, 2",
  "4\nThe answer is short.\nI change my rating to 2",
  "4\n\n2/5",
  "Score: >3",
  ">3",
  "#4",
  "4\nI cannot rate this.",
];

describe("a number on the first line that holds one", () => {
  test.each(scored)("%j is %d", (reply, score) => {
    expect(readScore(reply, "stop", number)).toEqual({ state: "scored", score });
  });

  test.each(unparsable)("%j is not a score", (reply) => {
    expect(readScore(reply, "stop", number).state).toBe("unparsable");
  });

  test.each([
    ["I'm sorry, but I can't rate this.", "stop"],
    ["I cannot help with that.", "stop"],
    ["I'm unable to give a score: 0", "stop"],
    ["", "content-filter"],
    ["4.5", "content-filter"],
  ] as const)("%j (%s) is a refusal", (reply, finish) => {
    expect(readScore(reply, finish, number).state).toBe("refused");
  });

  test("a reply that was cut off counts when its score was whole", () => {
    expect(readScore("4.5\nThe response is accu", "length", number)).toEqual({ state: "scored", score: 4.5 });
    for (const beginning of ["4", "4.", "Score: 4", "Score: 4.", "4,", "4 ("])
      // perhaps of 4.5
      expect(readScore(beginning, "length", number).state).toBe("truncated");
    expect(readScore("", "length", number).state).toBe("truncated");
    expect(readScore("<think>The response", "length", number).state).toBe("truncated");
  });

  test("steps and labels are the rubric's", () => {
    const stepped = { scale: { min: 1, max: 6, step: 1 }, reply: { format: "number", labels: ["Punkte"] } } as const;
    expect(readScore("Punkte: 3", "stop", stepped)).toEqual({ state: "scored", score: 3 });
    expect(readScore("3.5", "stop", stepped).state).toBe("unparsable");
    expect(readScore("0", "stop", stepped).state).toBe("unparsable");
    expect(readScore("Punkte: 3", "stop", number).state).toBe("unparsable");
  });

  test("replies that repeat one thing without end are read in little time", () => {
    expect(readScore(`${"<think></think>".repeat(20_000)}4`, "stop", number)).toEqual({ state: "scored", score: 4 });
    expect(readScore(`4 ${"* ".repeat(60_000)}x`, "stop", number).state).toBe("unparsable");
    expect(readScore(`4\n${"; ".repeat(60_000)}`, "stop", number).state).toBe("scored");
    expect(readScore(`4\n${"word ".repeat(60_000)}`, "stop", number).state).toBe("unparsable");
    expect(readScore(`\`\`\`json\n${"\n".repeat(60_000)}`, "length", json).state).toBe("truncated");
    expect(readScore(`{"overall":4,"x":"${"a".repeat(2 ** 24)}"}`, "stop", json)).toEqual({
      state: "scored",
      score: 4,
    });
  });

  test("whatever the reply, a score is on the scale and is a number that stands in it", () => {
    const piece = fc.constantFrom(
      "4",
      "5",
      ".",
      ",",
      "/",
      " ",
      "\n",
      "-",
      "score",
      ":",
      "or",
      "*",
      "½",
      "9",
      "out of",
      "<think>",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const reply = pieces.join("");
        const rating = readScore(reply, "stop", number);
        if (rating.state !== "scored") return;
        const digits = [...reply.matchAll(/\d+/g)].map(([run]) => run);
        expect(rating.score).toBeGreaterThanOrEqual(0);
        expect(rating.score).toBeLessThanOrEqual(5);
        expect(digits).toContain(String(Math.trunc(rating.score)));
      }),
      { numRuns: 3000 },
    );
  });
});

describe("a JSON object", () => {
  test.each([
    ['{"rarity": 3, "overall": 7}', 7],
    ['```json\n{"overall": 7}\n```', 7],
    ['<think>{"overall": 2}</think>{"overall": 7}', 7],
    ['{"why": "it writes </think> twice", "overall": 7}', 7],
    ['<think>x</think>{"why": "it writes </think> twice", "overall": 7}', 7],
    ['x</think>{"why": "it writes </think> twice", "overall": 7}', 7],
    [
      '<|channel|>analysis<|message|>2?<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{"overall": 7}',
      7,
    ],
    ['{"overall": "7"}', 7],
    ['{"overall": 0}', 0],
    ['{"parts": [{"overall": 3}, {"overall": 2}], "why": "\\"overall\\": 1", "overall": 6}', 6],
  ])("%j is %d", (reply, score) => {
    expect(readScore(reply, "stop", json)).toEqual({ state: "scored", score });
  });

  test.each([
    '{"overall": 7.5}',
    '{"overall": 11}',
    '{"overall": null}',
    '{"overall": 4, "overall": 2}',
    '{"overall": "7 or 8"}',
    '{"rarity": 7}',
    "[7]",
    "7",
    'Sure: {"overall": 7}',
    '{"__proto__": {"overall": 7}}',
  ])("%j is not a score", (reply) => {
    expect(readScore(reply, "stop", json).state).toBe("unparsable");
  });

  test("one that was cut off is truncated", () => {
    expect(readScore('{"rarity": 3, "over', "length", json).state).toBe("truncated");
  });
});
