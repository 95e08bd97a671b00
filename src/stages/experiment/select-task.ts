import { readPositions } from "../../dataset/positions.ts";
import { hashData, hashText } from "../../experiment/hashes.ts";
import { hashFile } from "../../files/hash-file.ts";
import type { ArmDraw } from "../../experiment/resolve.ts";
import type { Task } from "../../experiment/task.ts";
import { select } from "../select.ts";
import type { Context } from "./context.ts";
import { mentionsScore } from "../../selection/sql-names.ts";
import { embedId, rateId, scoreId, selectId } from "./ids.ts";

export function selectTask(context: Context, draw: ArmDraw): Task {
  const { recipe, experiment } = context;
  const { name: arm, seed, declared, sizeOf: like, top: count, quota, rowsPath, towardPath, vectors } = draw;
  const { min_score: minScore, like: _, rows: __, method, top, seed: ___, ...chosen } = declared;
  const others = { ...chosen, seed };
  const id = selectId(arm);
  const other = experiment.draws.find(({ name }) => name === like)?.declared;
  const mayLeaveOut =
    other !== undefined &&
    (other.where !== undefined ||
      other.toward !== undefined ||
      other.method === "representative" ||
      other.dedup !== undefined ||
      recipe.contamination === "remove");
  const used = experiment.scores.flatMap(({ name }) =>
    [declared.by, declared.where].some((sql) => sql !== undefined && mentionsScore(sql, name)) ? [name] : [],
  );
  // of a score that not every row has, such as IFD, the arm cannot have more
  const minCoverage = Math.min(
    experiment.rating!.declared.min_coverage,
    ...experiment.scores.flatMap(({ name, declared: score }) => (used.includes(name) ? [score.min_coverage] : [])),
  );
  return {
    id,
    stage: "select",
    needs: [
      rateId,
      ...used.map(scoreId),
      ...(vectors === undefined ? [] : [embedId(vectors)]),
      ...(like === undefined ? [] : [selectId(like)]),
    ],
    resource: "machine",
    needsUv: false,
    async inputs() {
      const manifest = await context.manifest();
      return {
        ratings: manifest?.rate?.ratingsHash ?? "none",
        ...Object.fromEntries(
          used.map((score) => [`the score ${score}`, manifest?.scores?.[score]?.ratingsHash ?? "none"]),
        ),
        ...(vectors !== undefined && {
          [`the vectors ${vectors}`]: manifest?.embeddings?.[vectors]?.vectors.sha256 ?? "none",
        }),
        ...(towardPath !== undefined && {
          "the examples": await hashData(towardPath),
          "the examples' vectors": Object.values(manifest?.embeddings?.[vectors!]?.targets ?? {})
            .flatMap(({ source, sha256 }) => (source === towardPath ? [sha256] : []))
            .join(" "),
        }),
        min_score: String(minScore ?? "none"),
        top: String(top ?? "none"),
        ...(like !== undefined && { [`the size of ${like}`]: String(manifest?.arms[like]?.rows ?? "none") }),
        // the rows that the other arm could keep; named only where it leaves some out, so that old hashes stay valid
        ...(mayLeaveOut && {
          [`the candidates of ${like}`]: (await hashFile(context.run.decisionsPath(like!))) ?? "none",
        }),
        rows: rowsPath === undefined ? "none" : ((await hashFile(rowsPath)) ?? "none"),
        choice: JSON.stringify({ method, ...others }),
        ...(recipe.watch !== undefined && { watch: recipe.watch }),
        ...(recipe.contamination === "remove" && { prompts: hashText(JSON.stringify(await context.prompts())) }),
      };
    },
    async output() {
      const summary = (await context.manifest())?.arms[arm];
      return summary && hashFile(context.run.recordedArmPath(summary));
    },
    async run() {
      const { by, where, per, dedup, diverse, similarity } = others;
      const { gates } = await select({
        ...context.stage(id),
        arm,
        seed,
        minCoverage,
        ...(rowsPath === undefined && towardPath === undefined && { method }),
        ...(rowsPath !== undefined && { rows: await readPositions(rowsPath) }),
        minScore,
        top: count,
        like,
        by,
        where,
        per,
        quota,
        dedup,
        diverse,
        similarity,
        toward: towardPath,
        vectors,
        isDiverseByVectors: declared.vectors !== undefined,
        watch: recipe.watch,
        scores: experiment.scores.map((score) => score.name),
        ...(recipe.contamination === "remove" && { decontaminate: await context.prompts() }),
        signal: context.options.signal,
      });
      return { gates };
    },
  };
}
