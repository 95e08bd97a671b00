/*
 * How providers and gateways say that an account or a key has no money left. A limit on requests or tokens a minute is something
 * else: it comes back.
 */

const limit = String.raw`(?:usage|spend(?:ing)?|budget|credits?|billing|key|quota) limits?`;

const sure = new RegExp(
  [
    String.raw`insufficient[_. -]?(?:quota|funds?|credits?|balance)|balance is insufficient`,
    String.raw`billing_hard_limit|(?<!\b(?:thinking|token|reasoning|context|time) )\bbudget[_ ](?:has been )?exceeded|\barrearage\b|\barrears\b|余额不足|欠费`,
    String.raw`billing[_ ](?:is )?(?:disabled|not[_ ](?:active|enabled))|requires billing to be enabled`,
    String.raw`(?:credit )?balance is (?:too low|negative|exhausted|depleted)|credits? (?:are|is|have been|has been) (?:depleted|exhausted|used up)|out of credits?\b|(?:have|has)(?: no|n['’]t any) (?:remaining )?credits?\b`,
    String.raw`(?:do not|don['’]t|does not|doesn['’]t) have enough credits?\b|used (?:up )?(?:all )?(?:of )?(?:your|its|their|the)? ?(?:available )?credits?\b`,
    String.raw`\bspend(?:ing)?[_ ]limit\b.{0,40}\b(?:reached|exceed\w*|hit|exhausted)\b|\b(?:reached|exceed\w*|hit|over|exhausted|due to)\b.{0,40}\bspend(?:ing)?[_ ]limit\b|\bspend(?:ing)?_limit\w*|\bspend(?:ing)?\b.{0,60}\bexceed(?:s|ed) the limit`,
  ].join("|"),
  "i",
);
/** The same words are said of limits that come back. */
const perhaps = new RegExp(
  [
    String.raw`\b${limit} (?:(?:has|have) been |was |is |were |are )?(?:reached|exceeded|hit)\b`,
    String.raw`\b(?:reached|exceeded|hit|over) (?:(?:your|its|the|their|an?|this|our) )?(?:[\w-]+ ){0,4}?(?:usage|budget|credits?) limits?\b`,
  ].join("|"),
  "i",
);
const codes =
  /^(?:insufficient_(?:\w+_)?(?:quota|funds?|credits?|balance|money)\w*|billing_\w+|budget_exceeded|arrearage|spend(?:ing)?_limit\w*|exceeded_current_quota_error|payment_required)$/i;
/** What an error quotes may be a row's own text. */
const quoted = /"[^"]*"|'[^'\n]*'(?!\w)|`[^`]*`|“[^”]*”|‘[^’]*’/g;
/** A string of JSON, or as Python prints it, and whether it is a name. */
const strings = /(["'])((?:\\.|(?!\1)[^\\])*)\1(\s*:)?/g;
const namesMessage = /^(?:message|details?|errors?|msg|error_(?:message|description|msg)|description|title)$/i;
/** That it is a matter of seconds or minutes. */
const asksToWait = /\b(?:retry|try again) (?:after|in) (?!\d+(?:\.\d+)? ?(?:h|hours?|d|days?|weeks?|months?)\b)\d/i;
/** A limit that comes back by itself, in words that nobody has for an empty account. */
const comesBackSoon = new RegExp(
  String.raw`\b(?:per|a|each)[- ](?:minute|second|hour)\b|\b\d* ?[rt]p[ms]\b|\bconcurren\w*|\b(?:requests|tokens)[- ]per[- ]|${asksToWait.source}`,
  "i",
);
const comesBack = new RegExp(`${comesBackSoon.source}|too many requests|rate.?limit`, "i");
const longest = 2000; // characters that are read

/**
 * Whether an error's words say that no money is left.
 *
 * @param said its message
 * @param named its codes, types and statuses
 */
export function tellsNoMoney(said: string, named: readonly string[] = []): boolean {
  if (named.some((code) => codes.test(code))) return true;
  const plain = said.slice(0, longest).replace(/https?:\/\/\S+/g, " ");
  const own = ownWords(plain);
  const isSure = own.split(/(?<=[.!?])\s+/).some((sentence) => sure.test(sentence) && !comesBackSoon.test(sentence));
  return (isSure && !asksToWait.test(own)) || (perhaps.test(own) && !comesBack.test(own));
}

/** What the server itself says: no text that it quotes; of a body that is given as it came, its messages. */
function ownWords(said: string): string {
  const [lead] = /^(?:[^"'`“‘{]|(?<=\w)'(?=\w))*/.exec(said)!;
  const isBody =
    said[lead.length] === "{" && (!lead.endsWith("[") || /^\{\s*["']error["']/.test(said.slice(lead.length)));
  if (!isBody) return said.replace(quoted, " ");
  const words = [lead];
  let name = "";
  for (const [, , text, colon] of said.slice(lead.length).matchAll(strings)) {
    if (colon !== undefined) name = text!;
    else if (namesMessage.test(name)) words.push(text!.replace(/\\(.)/g, "$1").replace(quoted, " "));
  }
  return words.join(" ");
}
