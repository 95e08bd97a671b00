/*
 * How providers and gateways say that an account or a key has no money left. A limit on requests or tokens a minute is something
 * else: it comes back.
 */

const limit = String.raw`(?:usage|spend(?:ing)?|budget|credits?|billing|key|quota) limits?`;

const words = new RegExp(
  [
    String.raw`insufficient[_. -]?(?:quota|funds?|credits?|balance)`,
    String.raw`billing_hard_limit|budget[_ ](?:has been )?exceeded|\barrearage\b|\barrears\b|余额不足|欠费`,
    String.raw`billing[_ ](?:is )?(?:disabled|not[_ ](?:active|enabled))|requires billing to be enabled`,
    String.raw`(?:credit )?balance is (?:too low|negative|exhausted|depleted)|credits? (?:are|is|have been|has been) (?:depleted|exhausted|used up)|out of credits?\b|(?:have|has)(?: no|n['’]t any) (?:remaining )?credits?\b`,
    String.raw`\b${limit} (?:(?:has|have) been |was |is |were |are )?(?:reached|exceeded|hit)\b`,
    String.raw`\b(?:reached|exceeded|hit|over) (?:(?:your|its|the|their|an?|this|our) )?(?:[\w-]+ ){0,4}?(?:usage|spend(?:ing)?|budget|credits?) limits?\b`,
    String.raw`\bspend(?:ing)?[_ ]limit\b|\bspend(?:ing)?\b.{0,60}\bexceed(?:s|ed) the limit`,
  ].join("|"),
  "i",
);
const longest = 2000; // characters that are read

/** Whether an error's words or codes say that no money is left. */
export function tellsNoMoney(said: string): boolean {
  return words.test(said.slice(0, longest));
}
