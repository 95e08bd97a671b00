/*
 * What the readers of replies share.
 */

const refusal =
  /^\W*(i['’]m sorry|i am sorry|sorry[,.! ]|i can(['’]t|not| not)|i['’]m (not able|unable)|i am (not able|unable)|i won['’]t|as an ai)/i;

/** Whether a reply begins as one that will not judge. */
export function isRefusal(text: string): boolean {
  return refusal.test(text);
}

/** A reason, and the beginning of the reply it is about. */
export function excerpt(why: string, text: string): string {
  const shown = text.trim().replace(/\s+/g, " ");
  return shown === "" ? why : `${why}: ${shown.length > 120 ? `${shown.slice(0, 120)}…` : shown}`;
}

/**
 * The reply without the reasoning that some models write before it; undefined when that never ends.
 *
 * @param isAnswer whether a text is an answer by itself: then a closing mark after it, which some servers send without the
 *   opening one, is part of what it talks about
 */
export function withoutThinking(text: string, isAnswer: (text: string) => boolean): string | undefined {
  const [, tag] = /^\s*<(think|thinking|reasoning)>/i.exec(text) ?? [];
  if (tag === undefined) {
    const end = /<\/(?:think|thinking)>/i.exec(text);
    return end && !isAnswer(text.slice(0, end.index)) ? text.slice(end.index + end[0].length) : text;
  }
  const end = text.toLowerCase().indexOf(`</${tag.toLowerCase()}>`);
  return end < 0 ? undefined : withoutThinking(text.slice(end + tag.length + 3), isAnswer);
}

/** Full-width digits, points, slashes and colons as plain ones. */
export function plainCharacters(text: string): string {
  return text.replace(/[\uff01-\uff5e]/g, (character) => String.fromCharCode(character.charCodeAt(0) - 0xfee0));
}
