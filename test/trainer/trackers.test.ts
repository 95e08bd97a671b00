import { stringify } from "yaml";
import { expect, test } from "vitest";
import { misuse } from "../helpers/command-line.ts";
import { tempFolder } from "../helpers/temp-folder.ts";
import { tinyRecipe } from "../helpers/tiny-training.ts";

test("a tracker that is not known, and one that a cluster or another format cannot have, are one line", async () => {
  using folder = tempFolder();
  folder.write("training.yaml", stringify({ ...tinyRecipe, template: "alpaca" }));
  const refusal = async (...args: string[]) => {
    const { code, stderr } = await misuse(args, { cwd: folder.path });
    return `${code} ${stderr}`;
  };
  const train = ["train", "--recipe", "training.yaml", "--report-to"];
  expect(await refusal(...train, "neptune")).toMatch(/^2 .*--report-to: expected tensorboard, wandb, mlflow/);
  expect(await refusal(...train, "wandb,wandb")).toMatch(/^2 .*--report-to: expected each once, got wandb again/);
  for (const other of [
    ["--on", "ray:http://127.0.0.1:9"],
    ["--trainer", "axolotl"],
  ])
    expect(await refusal(...train, "wandb", ...other)).toMatch(
      /^2 .*--report-to: expected a training on this machine by trl/,
    );
  expect(await refusal("report", "--format", "csv", "--log-to", "wandb")).toMatch(/^2 .*--log-to: logs the page/);
});
