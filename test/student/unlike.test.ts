import { expect, test } from "vitest";
import { findUnlike, UnlikeRows } from "../../src/student/unlike.ts";

const kindOf = (instruction: string, output: string) =>
  new UnlikeRows().add(findUnlike({ instruction, input: "", output }, false));

test.each([
  ["Erkläre mir, wie ein Motor funktioniert.", "Er verbrennt Kraftstoff, und der Kolben bewegt sich auf und ab."],
  ["Quelle est la capitale de la France ?", "La capitale de la France est Paris."],
  ["Wat is de hoofdstad van Nederland?", "De hoofdstad van Nederland is Amsterdam."],
])("a row in another language is unlike the student's English rows: %s", (instruction, output) => {
  expect(kindOf(instruction, output)).toBe("in another language than English");
});

test.each([
  ["Translate to Spanish: the cat is on the table", "El gato está en la mesa de la cocina, para que lo veas"],
  ["Write a haiku", "Silent pond at dawn"],
  ["Say it in German", "Das ist ein Buch"],
  ["Print de la", "def f(x): return x"],
])("an English row is not, nor one of few words: %s", (instruction, output) => {
  expect(kindOf(instruction, output)).toBeUndefined();
});
