import { expect, test } from "vitest";
import { findUnlike, UnlikeRows } from "../../src/student/unlike.ts";

const kindOf = (instruction: string, output: string) =>
  new UnlikeRows().add(findUnlike({ instruction, input: "", output }, false));

test.each([
  ["Erkläre mir, wie ein Motor funktioniert.", "Er verbrennt Kraftstoff, und der Kolben bewegt sich auf und ab."],
  ["Quelle est la capitale de la France ?", "Paris est la capitale, et une grande ville dans le nord."],
  ["Wat is de hoofdstad van Nederland?", "Dat is Amsterdam, een stad met grachten, niet ver van het meer."],
])("a row in another language is unlike the student's English rows: %s", (instruction, output) => {
  expect(kindOf(instruction, output)).toBe("in another language than English");
});

test.each([
  ["Translate to Spanish: the cat is on the table", "El gato está en la mesa de la cocina, para que lo veas"],
  ["Write a haiku", "Silent pond at dawn"],
  ["Say it in German", "Das ist ein Buch"],
  ["Print de la", "def f(x): return x"],
  ["Solve for z: 2z + 3 = 7", "z = 2, so z = 2"],
  ["Cities", "Los Angeles, Las Vegas, El Paso, Los Alamos, La Jolla"],
  ["Write it in C++", "std::cout << w << z << w << z; os.path.join(os.listdir(de))"],
])("an English row is not, nor one of few words: %s", (instruction, output) => {
  expect(kindOf(instruction, output)).toBeUndefined();
});
