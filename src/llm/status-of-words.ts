import { tellsNoMoney } from "./no-money.ts";

const longest = 2000; // characters of an error that are read: patterns take long on more

/** The status that an error without one stands for, by its words; 502 where they say nothing. */
export function statusOfWords(said: string): number {
  const words = said
    .slice(0, longest)
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ");
  if (/rate.?limit|too many requests|\bqps\b|throttl/i.test(words)) return 429;
  if (/overload|busy|try again|temporarily/i.test(words)) return 503;
  if (
    /(invalid|missing|incorrect|wrong|expired|no).{0,20}\bkey\b|\bkey\b.{0,20}(invalid|missing|incorrect|wrong|expired)|unauthori[sz]ed|authentication (failed|error|required)/i.test(
      words,
    )
  )
    return 401;
  if (/balance is|payment required/i.test(words) || tellsNoMoney(words)) return 402;
  if (/content.?filter|flagged|invalid (prompt|request)|context.?length|too long|maximum context/i.test(words))
    return 400;
  if (/permission/i.test(words)) return 403;
  if (/model.*(not.?(found|exist)|does.?n.t exist|unknown)|(unknown|no such|invalid) model/i.test(words)) return 404;
  return 502;
}
