import { expect, test } from "vitest";
import { withoutThinking } from "../../src/rubric/thinking.ts";

test.each([
  ["<think>Hm.</think>Pear.", "Pear."],
  ["Hm.</think>Pear.", "Pear."],
  ["analysisHm. A fruit.assistantfinalPear.", "Pear."],
  ["<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Pear.<|END_RESPONSE|>", "Pear."],
  ["<|channel>thought\nHm.<channel|>Pear.", "Pear."],
  ["<longcat_think>Hm.</longcat_think>Pear.", "Pear."],
  ["<|channel|>final<|message|>Pear.<|return|>", "Pear."],
  ["analysis of pears: they are green.", "analysis of pears: they are green."],
  ["analysis: the string assistantfinal is glue; it is.", "analysis: the string assistantfinal is glue; it is."],
  [
    "Format:\n1. <think>your reasoning\nover lines\n</think>\n2. it",
    "Format:\n1. <think>your reasoning\nover lines\n</think>\n2. it",
  ],
  [
    "<design_thinking>\n  <step/>\n</design_thinking>\n<end/>",
    "<design_thinking>\n  <step/>\n</design_thinking>\n<end/>",
  ],
  ["[BEGIN REASONING]\nhm, a form to fill in.", "[BEGIN REASONING]\nhm, a form to fill in."],
  ["Here is my thought process: I eat pears.", "Here is my thought process: I eat pears."],
  ["[THINK]Hm.[/THINK]Pear.", "Pear."],
  ["<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Pear.", "Pear."],
  ["<think>Hm.", ""],
  ["Use this format: <think> hm\n</think>\n42", "Use this format: <think> hm\n</think>\n42"],
  ["1. <think>your reasoning\n</think>\n2. the answer", "1. <think>your reasoning\n</think>\n2. the answer"],
  ["Okay, the format is: <think> first, then the answer.\nThe user greets.\n</think>\n\nHi!", "\n\nHi!"],
  ["The user wants:\n1. <think> tags\n2. an answer\nI say hi.\n</think>\n\nHi!", "\n\nHi!"],
  ["Rules:\n- <think> before the answer\nFine.\n</think>\nHi!", "\nHi!"],
  ["Let me use <think> tags as asked.\n</think>\n\nHi", "\n\nHi"],
  ["2+2 is four. </think> <answer> 4 </answer>", " <answer> 4 </answer>"],
  ["The user greets. I say hi. </think> Hi there!", " Hi there!"],
  ["Hm.\n</think>\n\nPear.", "\n\nPear."],
  ["Hm. So a pear.</think>\nPear.", "\nPear."],
  [
    "R1 reasons between <think> and </think>, then it answers.",
    "R1 reasons between <think> and </think>, then it answers.",
  ],
  ["Reasoning ends with </think> in R1.", "Reasoning ends with </think> in R1."],
  ["Write <think>\nx\n</think>\nand go on.", "Write <think>\nx\n</think>\nand go on."],
])("reasoning before a model's answer is taken off: %j", (text, answer) => {
  expect(withoutThinking(text)).toBe(answer);
});

test.each([
  "[Reasoning] It is red.\n[Answer] An apple.",
  "Thinking...\nI sat by the sea.",
  "<thought>I like tea</thought>",
  "Here is the XML:\n<diary>\n<thoughts>Rain.</thoughts>\n</diary>",
  "[thinking]text[/thinking] renders as text",
])("what may be the answer itself stays: %j", (text) => {
  expect(withoutThinking(text)).toBe(text);
});
