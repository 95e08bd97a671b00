import { styleText } from "node:util";
import { describeTrust, type Trust } from "../../health/trust.ts";
import { plainText } from "./plain-text.ts";

const colours = { yes: "green", "with care": "yellow", no: "red" } as const;

/** One line at the head of a summary. */
export function renderTrust(trust: Trust): string {
  return `  ${styleText(colours[trust.answer], "Should I trust this?")} ${plainText(describeTrust(trust))}`;
}
