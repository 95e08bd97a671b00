import { UsageError } from "../../errors.ts";
import type { Rating } from "../../experiment/resolve.ts";
import { openRatingJudge } from "../../judge/open.ts";
import type { Scale } from "../../run/rating.ts";
import type { Context } from "./context.ts";

/**
 * Checks before anything is paid that an arm's least score is on the scale of the score it goes by, where that is known.
 *
 * @throws UsageError with file, line and field
 */
export async function expectScale({ recipe, experiment, options }: Context): Promise<void> {
  const scales = new Map<string, Promise<Scale | undefined>>();
  const scaleOf = (name: string): Promise<Scale | undefined> => {
    const rating = name === "score" ? experiment.rating : experiment.scores.find((score) => score.name === name);
    const found = scales.get(name) ?? (rating ? openScale(rating, options.run) : Promise.resolve(undefined));
    scales.set(name, found);
    return found;
  };
  for (const [arm, { min_score: minScore, by = "score" }] of Object.entries(recipe.arms ?? {})) {
    if (minScore === undefined) continue;
    const scale = await scaleOf(by.trim());
    if (scale && (minScore < scale.min || minScore > scale.max))
      throw new UsageError(
        `${recipe.at(["arms", arm, "min_score"])}: arms.${arm}.min_score: expected a score on the judge's scale, ${scale.min} to ${scale.max}, got ${minScore}`,
      );
  }
}

async function openScale({ judges, settings, declared }: Rating, run: string): Promise<Scale | undefined> {
  if ("escalate" in declared && declared.escalate) return undefined; // some of its scores are probabilities
  const { judge, close } = await openRatingJudge(judges, { run, forPlan: true, ...settings });
  try {
    return judge.scale;
  } finally {
    close();
  }
}
