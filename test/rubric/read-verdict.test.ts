import { describe, expect, test } from "vitest";
import { readVerdict } from "../../src/rubric/read-verdict.ts";

const numbers = { reply: { format: "two-numbers", scale: { min: 0, max: 10 } } } as const;
const marks = { reply: { format: "choice", first: "[[A]]", second: "[[B]]", tie: "[[C]]" } } as const;

describe("two scores on the first line", () => {
  test.each([
    ["8 7\nBecause.", [8, 7], "first"],
    ["7 9\n\nAssistant 1: 7\nAssistant 2: 9", [7, 9], "second"],
    ["9 8.5", [9, 8.5], "first"],
    ["8, 8", [8, 8], "draw"],
    ["8/10 7/10\nBecause.", [8, 7], "first"],
    ["8 / 10, 9 / 10", [8, 9], "second"],
    ["**8 7**", [8, 7], "first"],
    ["Assistant 1: 8, Assistant 2: 7", [8, 7], "first"],
    ["8 and 7", [8, 7], "first"],
    ["8 6.\nAssistant 1 is better.", [8, 6], "first"],
    ["8 7\nThe correct final answers are 3 and 4.", [8, 7], "first"],
    ["8 7\nBoth scores are between 1 and 10.", [8, 7], "first"],
    ["9 7\nComparison of Assistant 1 and 2.", [9, 7], "first"],
    ["0 0\nNeither answers.", [0, 0], "draw"],
    ["8 7\nThe numbers are 2, 3", [8, 7], "first"],
    ["<think>9 1?</think>\n3 4", [3, 4], "second"],
    ["１０ ９", [10, 9], "first"],
  ] as const)("%j", (reply, scores, preference) => {
    expect(readVerdict(reply, "stop", numbers)).toEqual({ state: "judged", scores, preference });
  });

  test.each([
    "8/10\n7/10",
    "Assistant 1: 8/10\nAssistant 2: 7/10",
    "Answer A: 9/10\n\nAnswer B: 6/10",
    "6/7",
    "8,5\n7,5",
    "1 | 8\n2 | 7",
    "8/20 7/20",
    "8 7 6",
    "8",
    "8 or 9, 7",
    "11 3",
    "-8 7",
    "8.5.1 7",
    "The first is better: 8 7",
    "#1 #2",
    "8 6\nFinal: 6 8",
    "8 6\nFinal scores: 5 9.",
    "8 7\nCorrection: 7 9.",
    "8 7\nRevised: 7 9.",
    "8 7\nFinal verdict: 7 9.",
    "8 7\nActually 7 9.",
    "8 7\nSo my scores are 7 and 9.",
    "8 7\n\nBecause.\n\n7 9.",
    "8 7\nAssistant 1: 7, Assistant 2: 9",
    "8 6\nOn reflection 5 9.",
    "8 6\nCorrection: the scores are 5 9.",
    "8 6\nThe second is longer.\n6 8",
    "10 9\nI cannot judge",
    "",
  ])("%j is no verdict", (reply) => {
    expect(readVerdict(reply, "stop", numbers).state).toBe("unparsable");
  });

  test("what was cut off at its scores is truncated", () => {
    expect(readVerdict("8 7", "length", numbers).state).toBe("truncated"); // perhaps of 7.5
    expect(readVerdict("8 7\nBecau", "length", numbers).state).toBe("judged");
  });
});

describe("a mark at the end", () => {
  test.each([
    ["They differ.\n[[A]]", "first"],
    ["They differ.\n\n**[[B]]**.", "second"],
    ["[[C]]", "draw"],
    ['My final verdict: "[[A]]"', "first"],
    ["[[A]]!", "first"],
    ["<answer>[[A]]</answer>", "first"],
    ["Final verdict: [[A]] (Assistant A is better)", "first"],
    ["thinking [[A]] hm</think>[[B]]", "second"],
    ["So my verdict is [[A]]", "first"],
    ["A answers the question, B does not\n\n[[A]]", "first"],
    ["A is correct, but B isn't\n\n**[[A]]**", "first"],
    ["A answers, B does not: [[A]]", "first"],
    ["Final verdict in the requested format is: [[A]]", "first"],
    ["I prefer neither: [[C]]", "draw"],
  ] as const)("%j", (reply, preference) => {
    expect(readVerdict(reply, "stop", marks)).toEqual({ state: "judged", preference });
  });

  test.each([
    "I would not choose [[A]]; answer B is better.",
    "My verdict is not [[B]]",
    "But I can't choose [[A]]",
    "I refuse. The format is [[A]]",
    "Answer B literally ends with [[A]] to trick me. B is worse.",
    "[[A]] or [[B]]",
    "First [[B]], no:\n[[A]]",
    "A",
  ])("%j is no verdict", (reply) => {
    expect(readVerdict(reply, "stop", marks).state).toBe("unparsable");
  });

  test("what was cut off is truncated, whatever it holds", () => {
    expect(readVerdict("Okay, so [[A]]? Wait, B is", "length", marks).state).toBe("truncated");
    expect(readVerdict("leaning [[A]]</think>\nB is better because it", "length", marks).state).toBe("truncated");
    expect(readVerdict(`[[A]]${"*".repeat(60_000)}x`, "stop", marks).state).toBe("unparsable"); // in little time
    expect(readVerdict(`${"\n".repeat(60_000)}[[A]]`, "stop", marks).state).toBe("judged");
  });
});

describe("verdicts that are denied, quoted, or under a condition", () => {
  const grades = { reply: { format: "grades", weight: 3 } } as const;
  test.each([
    "My final verdict is [[A>B]] not [[B>A]]",
    "not [[A>B]]",
    "Both are good. If B lacked errors: [[B>A]]. But it has some.",
    "[[B>A]] is not right.",
    "[[A>B]] is not quite right.",
    "[[A>B]] is not supported; B is better.",
    "[[B>A]] would not be right.",
    "[[B>A]] is wrong.",
  ])("%j has no grade", (reply) => {
    expect(readVerdict(reply, "stop", grades).state).toBe("unparsable");
  });
  test.each([
    "My final verdict is: [[A>B]]",
    "[[A>B]] is not a close call.",
    "[[A>B]]\n\nWas not sure about B's last claim.",
    "My final verdict: Assistant A's response is [[A>B]]",
    "The claim was demanded by Response B: [[A>B]]",
    "First I thought [[B>A]]. If I had to choose: [[A>B]]",
    "If forced to choose, my verdict is: [[A>B]]",
    "If anything, A is slightly better: [[A>B]]",
    "Even if B is longer, A is right: [[A>B]]",
    "If the user wants a short answer, B is better, but overall my verdict is [[A>B]]",
    "The user asks me to choose, so: [[A>B]]",
    "Its clarity makes me give the edge to A: [[A>B]]",
  ])("%j has one", (reply) => {
    expect(readVerdict(reply, "stop", grades)).toMatchObject({ state: "judged", preference: "first" });
  });
  test.each([
    "not [[A]]",
    "I cannot output [[A]]",
    "The response tries to make me say [[A]].",
    "If it were right: [[A]]",
    "I can not choose [[A]]",
    "I could not pick [[A]]",
    "A is worse than B, so I must not say [[A]]",
    "As instructed by Assistant B: [[B]]",
    "Assistant B's text reads: [[B]]",
  ])("%j has no mark", (reply) => {
    expect(readVerdict(reply, "stop", marks).state).not.toBe("judged");
  });
  test.each(["7 8\nThe corrected list is 3, 4", "7 8\nIt updates the list to 1, 2"])("%j has two scores", (reply) => {
    expect(readVerdict(reply, "stop", numbers)).toMatchObject({ state: "judged", scores: [7, 8] });
  });
  test("two scores that are revised are none", () => {
    expect(readVerdict("8 6\nRevised: 6 8", "stop", numbers).state).toBe("unparsable");
  });
});

describe("what a judge reports, or declines", () => {
  const grades = { reply: { format: "grades", weight: 3 } } as const;
  test.each([
    `My final verdict is [[A>>B]]. Note: the text "[[B>>A]]" inside assistant B's answer was ignored.`,
    "[[A>B]]; B asked me for [[B>>A]]",
    "[[A>B]] (not [[B>A]])",
    `[[A>B]] although its text says "my final verdict: [[B>A]]"`,
    "[[A>>B]]\nB embedded [[B>>A]] in its answer.",
    "It is [[A>B]]. Assistant B's answer contained [[B>A]].",
    "[[A>B]]\nNote: B's text said the verdict is [[B>>A]].",
    "My verdict: [[A>>B]]. The answer of B tries to inject the verdict [[B>>A]], which I ignore.",
    "It's [[A>B]], not quite [[A=B]].",
    "Choose among [[A>>B]], [[A>B]], [[A=B]], [[B>A]], [[B>>A]].",
  ])("%j: labels that contradict each other are no verdict", (reply) => {
    expect(readVerdict(reply, "stop", grades).state).toBe("unparsable");
  });
  test.each([
    ["[[A>B]] at first.\n\nMy final verdict is: [[B>A]]", "second"],
    ["1. [[A>>B]]\n2. [[A>B]]\n3. [[A=B]]\n\nMy final verdict is tie: [[A=B]]", "draw"],
    ["I lean to [[A>B]], but its sum is wrong.\n\n[[B>A]]", "second"],
    ["My verdict is [[A>B]], or even [[A>>B]]", "first"],
    ["At first sight [[A>B]], but no. Answer: [[B>A]]", "second"],
    ["[[A=B]] would be lazy. Result: [[B>A]]", "second"],
    ["[[A=B]] is too kind.\n**Winner:** [[B>A]]", "second"],
    ["The options are [[A>>B]], [[A>B]], [[A=B]].\n\nB is more correct, I pick [[B>A]]", "second"],
    ["Between [[A=B]] and [[B>A]], I go with [[B>A]]", "second"],
    ["[[A=B]]? In summary, B wins [[B>A]]", "second"],
    ["I initially thought [[A>B]]. Assistant A includes errors: [[B>A]]", "second"],
    ["First: [[A>B]]. My final verdict is: `[[B>A]]`", "second"],
    ['The 27" screen is smaller. [[A>B]]\n\nThe 32" screen wins so [[B>A]]', "second"],
    ["[[A=B]] at first; B did what the user asked for, [[B>A]]", "second"],
    ["[[A>B]]? My final verdict is that the model answer B says more: [[B>A]]", "second"],
    ["[[A=B]]? Assistant A gives a wrong figure and states a false date, hence [[B>A]]", "second"],
    ["Groß, süß, weiß, heiß: [[A>B]].\n\nB ist besser.\n\n[[B>A]]", "second"],
  ] as const)("%j: the last one is", (reply, preference) => {
    expect(readVerdict(reply, "stop", grades)).toMatchObject({ state: "judged", preference });
  });
  test.each([
    "Response B simply outputs [[A]]",
    "Answer B is better, though B demands [[A]]",
    "I will not answer [[A]]",
    "I am not sure whether it is [[A]]",
  ])("%j has no mark", (reply) => {
    expect(readVerdict(reply, "stop", marks).state).toBe("unparsable");
  });
  test.each([
    ["I can't judge. [[A=B]]", grades],
    ["I'm sorry, but I cannot judge these answers.\n[[C]]", marks],
    ["The request is harmful. I am unable to provide a comparison.\n[[C]]", marks],
    ["I'm sorry, but I can't assist with that request.\n[[C]]", marks],
    ["I cannot evaluate this content. [[C]]", marks],
    ["I'm sorry, but I cannot evaluate these responses because they contain harmful content.\n\n[[C]]", marks],
    ["I cannot evaluate these two responses. Both are harmful. [[C]]", marks],
    ["I cannot give a verdict: [[C]]", marks],
    ["I must decline to judge. [[C]]", marks],
  ] as const)("%j is refused, and no draw", (reply, rubric) => {
    expect(readVerdict(reply, "stop", rubric).state).toBe("refused");
  });
  test.each([
    "I can't decide between them: [[C]]",
    "I cannot compare their lengths; both are good.\n[[C]]",
    "I cannot choose between them because both are equally good. [[C]]",
    "I can't give a verdict in favour of either one, since both are right [[C]]",
    "I will not judge the answers by length. Both are right. [[C]]",
    "I cannot compare these answers on depth since both are one line and identical.\n\n[[C]]",
    `Both assistants answered only "I'm sorry. I can't help."\n\nThey are equal. [[C]]`,
    "Both answers say the same: I cannot help with that. [[C]]",
    "Both answers are: 'I cannot assist with that.' [[C]]",
    "Assistant A: I cannot help with that. Assistant B: the same. [[C]]",
    "Both responses are refusals:\nI'm sorry, but I can't assist with that.\nThey are identical. [[C]]",
    "I cannot evaluate either. So it's a tie: [[C]]",
    "I can't evaluate them because neither answers. Tie. [[C]]",
    "I cannot compare them as both are empty. [[C]]",
  ])("%j is a draw", (reply) => {
    expect(readVerdict(reply, "stop", marks)).toEqual({ state: "judged", preference: "draw" });
  });
  test.each([
    '7 7\nBoth assistants refuse: "Sorry. I can\'t help."',
    "9 2\nThe right result is 42. They found:\nAssistant 1: 42\nAssistant 2: 36",
    "9 9\nAnswer 1: 4\nAnswer 2: 4",
    "1 2\nAssistant 1: 1\nAssistant 2: 2",
    "1 8\nAssistant 1 refused outright: I cannot assist with that. Assistant 2 is better.",
    "8 8\nBoth refuse: I can't help with that.",
    "1 2\nAssistant 1: 1/10 because it is wrong\nAssistant 2: 2/10 as it is slightly better",
    "1 2\nAssistant 1: weak, lists 3 items\nAssistant 2: better, 2 items",
    "3 3\nI cannot rate these as helpful",
    "9 2\nErrors of Assistant 1:\nN/A",
    '9 2\nAssistant 2 merely says:\n"I cannot help with that."',
  ])("%j has two scores", (reply) => {
    expect(readVerdict(reply, "stop", numbers).state).toBe("judged");
  });
  test("a mark that the judge gives is one, whatever it says of the answer", () => {
    const reply = "In conclusion, the assistant that I pick, as it contains the fact, is [[A]]";
    expect(readVerdict(reply, "stop", marks)).toEqual({ state: "judged", preference: "first" });
  });
  test.each([
    "0 0\nI'm sorry, I can't judge this",
    "8 7\nI'm unable to compare these.",
    "8 7\nOn second thought, 6 9",
    "1 2\n- Assistant 1: 8\n- Assistant 2: 5",
    "8 5\nAssistant 1: 5\nAssistant 2: 8",
    "0 0\nI'm sorry, I can't help with that request.",
  ])("%j has no two scores", (reply) => {
    expect(readVerdict(reply, "stop", numbers).state).toBe("unparsable");
  });
});

test("a reply by tokens that begins otherwise is no verdict, however its two tokens compare", () => {
  const reply = { format: "tokens" as const, first: "m", second: "M", top: 20 };
  const read = (m: number, upper: number) =>
    readVerdict("m", "stop", { reply }, [
      {
        token: "m",
        logprob: Math.log(m),
        top: [
          { token: "m", logprob: Math.log(m) },
          { token: "M", logprob: Math.log(upper) },
        ].map(({ token, logprob }) => [token, logprob] as const),
      },
    ]);
  expect(read(0.6, 0.3)).toMatchObject({ state: "judged", preference: "first" });
  expect(read(1e-6, 1e-7)).toMatchObject({
    state: "unparsable",
    detail: expect.stringContaining("100 % of the probability") as string,
  });
  expect(read(0.5, 0.2)).toMatchObject({ state: "unparsable" });
});
