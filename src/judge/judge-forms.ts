import { modelForms } from "../llm/model-name.ts";
import { withoutPassword } from "../without-password.ts";

/** The forms of the names of judges that ask no model. */
export const localForms =
  "student, student:FILE, student-lm, student-lm:FILE, perplexity:MODEL, ifd:MODEL, fit:MODEL, reward:MODEL, verify:exact, verify:regex, verify:math, recorded:FILE[#COLUMN], column:NAME or run:DIR";

/** The forms of judges' names on the command line. Add new kinds here. */
export const judgeForms = `${localForms.replace(" or ", ", ")}, ${modelForms}`;

/** A judge's name for messages: an address that was mistyped may hold a password. */
export function shownName(name: string): string {
  return /^\s*(?:https?:|[^:/@\s]+:[^:/@\s]+@)/i.test(name) ? withoutPassword(name) : name;
}
