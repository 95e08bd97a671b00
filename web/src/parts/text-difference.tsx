import { diffWordsWithSpace } from "diff";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { formatCount } from "../../../src/format.ts";
import type { PageText } from "../../../src/page/contract.ts";
import { LongText, Plain } from "./text.tsx";

const longestMs = 300; // time limit of the comparison; texts that take longer are shown unmarked
const mostCharacters = 40_000;

interface DifferenceProps {
  readonly names: readonly [string, string];
  readonly texts: readonly [PageText, PageText];
  readonly isMarked: boolean;
}

/** Two texts side by side; words that only one of them has are marked. */
export function TextDifference({ names, texts, isMarked }: DifferenceProps) {
  const [one, other] = texts;
  const parts = useMemo(() => {
    if (!isMarked || one.text.length + other.text.length > mostCharacters) return undefined;
    return diffWordsWithSpace(one.text, other.text, { timeout: longestMs });
  }, [one.text, other.text, isMarked]);
  return (
    <>
      {isMarked && !parts && <p class="quiet">These texts are too long or too different to mark their differences.</p>}
      <div class="sides">
        {texts.map((whole, side) => (
          <div class="card">
            <h5>
              {names[side]} <span class="quiet">{formatCount(whole.text.length + (whole.cut ?? 0))} characters</span>
            </h5>
            {parts ? (
              <div class="foreign" dir="auto">
                {parts.flatMap(({ value, added, removed }): ComponentChildren[] => {
                  if (side === 0 ? added : removed) return [];
                  const isOwn = side === 0 ? removed : added;
                  return [
                    isOwn ? (
                      <mark>
                        <Plain>{value}</Plain>
                      </mark>
                    ) : (
                      <Plain>{value}</Plain>
                    ),
                  ];
                })}
                {whole.cut !== undefined && (
                  <p class="quiet">
                    … and {formatCount(whole.cut)} more characters, which this report leaves out to save space
                  </p>
                )}
              </div>
            ) : (
              <LongText whole={whole} label={names[side]!} />
            )}
          </div>
        ))}
      </div>
    </>
  );
}
