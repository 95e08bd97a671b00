/** Whether a judge's name means a student: `student`, `student:FILE`, and those with a language model, `student-lm`, `student-lm:FILE`. */
export function isStudentName(name: string): boolean {
  return /^student(-lm)?(:|$)/.test(name);
}

/** Whether it means the student that ships with the package. */
export function isEmbeddedStudent(name: string): boolean {
  return name === "student" || name === "student-lm";
}

/** Whether it means a student with a language model. */
export function isStudentLmName(name: string): boolean {
  return /^student-lm(:|$)/.test(name);
}

/** Ways to compare an answer with its reference: the same text, a pattern that it holds, an equal mathematical expression. */
const verifiers = ["exact", "regex", "math"] as const;
export type Verifier = (typeof verifiers)[number];

/** The way to verify that a judge's name means: `verify:math`. Undefined for other judges. */
export function readVerifierName(name: string): Verifier | undefined {
  return verifiers.find((verifier) => name === `verify:${verifier}`);
}

/** Whether a judge of this name sees both answers at once, so that their order can influence it. A student sees each alone. */
export function seesOrder(judge: string): boolean {
  return !isStudentName(judge);
}
