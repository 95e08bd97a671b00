import { existsSync, readFileSync, statSync } from "node:fs";
import { readWhole } from "../files/read-file.ts";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parse } from "yaml";
import * as z from "zod";
import { RunError, UsageError } from "../errors.ts";
import { explainHub, hubAccess, licenceOf, readHubRepo, type HubRepo } from "../dataset/hub-access.ts";
import { listFiles } from "../files/list-files.ts";
import { isOwnCard, renderDatasetCard, renderModelCard } from "../page/cards.ts";
import { openRun } from "../page/open-run.ts";
import { isSmollm2, smollm2Id } from "../python/smollm2.ts";
import { expectArm } from "../run/file-states.ts";
import { requireRatings, runFolder } from "../run/run-folder.ts";
import { trainingFolder } from "../trainer/training-folder.ts";

/*
 * Puts an arm, or a trained model, on the Hugging Face Hub with a card that says how it was made.
 */

export interface PushOptions {
  /** The run's folder. */
  readonly run: string;
  /** Where it goes: `hf:owner/name`. */
  readonly to: string;
  /** What goes there: an arm as a dataset, or a model. */
  readonly arm?: string | undefined;
  readonly model?: string | undefined;
  /** An identifier of the Hub's list: `apache-2.0`. When left out, that of the source, or base, on the Hub. */
  readonly licence?: string | undefined;
  /** Whether everybody sees a repository that is made. */
  readonly isPublic?: boolean | undefined;
  /** Replace a card that this tool has not written. */
  readonly overwrite?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPhase?: ((phase: string) => void) | undefined;
}

/** What is pushed. */
export interface PushPlan {
  readonly repo: HubRepo;
  readonly licence: string;
  readonly card: string;
  /** Files beside the card. */
  readonly files: readonly {
    readonly path: string;
    readonly from: string;
    readonly bytes: number;
    /** What is sent in place of the file's content. */
    readonly text?: string | undefined;
  }[];
}

export interface PushSummary extends Omit<PushPlan, "card"> {
  readonly url: string;
  readonly commit: string;
  readonly isPublic: boolean | null;
}

/**
 * What would be pushed, without writing anything.
 *
 * @throws UsageError when nothing or both is named, or no licence is known; RunError when the arm or the model is not as it was made
 */
export async function planPush(options: PushOptions): Promise<PushPlan> {
  const { arm: armName, model: modelName, signal } = options;
  if ((armName === undefined) === (modelName === undefined))
    throw new UsageError("--arm, --model: expected one of them: an arm is a dataset, a model is one that was trained");
  const repo = readHubRepo(options.to, armName === undefined ? "model" : "dataset");
  const run = runFolder(options.run);
  const manifest = await requireRatings(run);
  const model = modelName === undefined ? undefined : manifest.models?.[modelName];
  if (modelName !== undefined && !model)
    throw new RunError(
      `${options.run}: expected a model that was trained in it (${Object.keys(manifest.models ?? {}).join(", ") || "it has none"}), got ${JSON.stringify(modelName)}`,
    );
  const name = armName ?? model!.arm;
  await using opened = await openRun(options.run);
  const report = await opened.report();
  const arm = report.arms.find((one) => one.arm === name);
  if (!arm)
    throw new RunError(
      `${options.run}: expected an arm that was selected in it (${report.arms.map((one) => one.arm).join(", ") || "it has none"}), got ${JSON.stringify(name)}`,
    );
  if (armName !== undefined) await expectArm(run, arm, { decisions: true });
  const sources = manifest.dataset.sources?.map(({ source }) => source) ?? [manifest.dataset.source];
  const licence = options.licence ?? (await findLicence(model?.base, sources, signal));
  const models = Object.values(manifest.models ?? {})
    .filter((one) => one.arm === name)
    .map((one) => one.model);
  const common = { repo: repo.name, licence, report, arm, models };
  if (!model) {
    const data = `train${extensionOf(arm.path)}`;
    const files = [sized(data, run.recordedArmPath(arm)), sized("decisions.jsonl", run.decisionsPath(arm.arm))];
    return { repo, licence, card: renderDatasetCard(common, { data, decisions: "decisions.jsonl" }), files };
  }
  const folder = trainingFolder(run.modelPath(model.model));
  if (Date.parse(arm.startedAt) > Date.parse(model.startedAt))
    throw new RunError(
      `${options.run}: expected the arm ${name} as ${model.model} was trained on it, found it selected again since; its card would be about other rows: train the model again`,
    );
  if (!existsSync(folder.output))
    throw new RunError(`${folder.output}: expected the trained model there, found nothing; train it again`);
  const settings = await readSettings(join(folder.folder, "sft.yaml"));
  const paths = listFiles(folder.output, (first) =>
    /^(checkpoint-|\.|runs$|README\.md$|training_args\.bin$)/.test(first),
  );
  return {
    repo,
    licence,
    card: renderModelCard(common, model, settings),
    files: paths.map((path) => ({
      ...sized(path, join(folder.output, path)),
      ...(path === "adapter_config.json" && { text: publicAdapter(join(folder.output, path), model.base) }),
    })),
  };
}

/**
 * Puts an arm or a model on the Hub: a repository is made if need be, private unless `isPublic`, and all files come in one commit.
 *
 * @throws UsageError as `planPush`, and when there is no token; RunError as `planPush`, when the repository has a card by somebody else, or the
 *   Hub refuses
 */
export async function push(options: PushOptions): Promise<PushSummary> {
  const { isPublic = false, overwrite = false, signal, onPhase } = options;
  const { card, ...plan } = await planPush(options);
  const { repo, files } = plan;
  const { accessToken, ...access } = hubAccess(signal);
  if (accessToken === undefined)
    throw new UsageError(
      "HF_TOKEN: expected a token of the Hub that may write, got none; set it in the environment or in .env",
    );
  const hub = await import("@huggingface/hub");
  const asked = { ...access, accessToken };
  try {
    onPhase?.("looking at the repository");
    const isNew = !(await hub.repoExists({ repo, ...asked }));
    if (!isNew && isPublic) onPhase?.("the repository is there already, and stays as visible as it is");
    if (isNew) await hub.createRepo({ repo, visibility: isPublic ? "public" : "private", ...asked });
    const isOurs = !isNew && (await hasOwnCard());
    const gone = isOurs ? await filesBefore(files) : [];
    for (const path of gone) onPhase?.(`deleting ${path}, which an earlier push wrote`);
    onPhase?.("sending the files");
    const sent = await hub.commit({
      repo,
      operations: [
        { operation: "addOrUpdate", path: "README.md", content: new Blob([card]) },
        ...files.map(({ path, from, text }) => ({
          operation: "addOrUpdate" as const,
          path,
          content: text === undefined ? pathToFileURL(from) : new Blob([text]),
        })),
        ...gone.map((path) => ({ operation: "delete" as const, path })),
      ],
      title: `Add ${repo.type === "dataset" ? `the arm ${options.arm}` : `the model ${options.model}`} by alpagasus`,
      useXet: false,
      ...(signal && { abortSignal: signal }),
      ...asked,
    });
    const url = `${access.hubUrl}/${repo.type === "dataset" ? "datasets/" : ""}${repo.name}`;
    return { ...plan, url, commit: sent?.commit.oid ?? "", isPublic: isNew ? isPublic : null };
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof RunError) throw cause;
    throw new RunError(`hf:${repo.name}: ${explainHub(cause, repo)}`, { cause });
  }

  /**
   * Data or weights of an earlier push that this one does not have: an adapter beside a whole model would be loaded with it. Other files are the
   * user's own.
   */
  async function filesBefore(now: PushPlan["files"]): Promise<string[]> {
    const kept = new Set(now.map(({ path }) => path));
    const gone: string[] = [];
    for await (const { path, type } of hub.listFiles({ repo, recursive: true, ...asked }))
      if (type === "file" && !kept.has(path) && pushed[repo.type].test(path)) gone.push(path);
    return gone;
  }

  /** Whether the repository's card is one of ours. @throws RunError when it is somebody else's, without `overwrite` */
  async function hasOwnCard(): Promise<boolean> {
    const found = await hub.downloadFile({ repo, path: "README.md", xet: false, ...asked });
    if (!found) return false;
    const isOwn = isOwnCard(await found.text());
    if (!isOwn && !overwrite)
      throw new RunError(
        `hf:${repo.name}: expected a new repository, or one that alpagasus push has written, found one with another card (README.md); name another, or replace its card with --overwrite`,
      );
    return isOwn;
  }
}

/** Names of the files that are loaded as data, or as weights. */
const pushed: Readonly<Record<HubRepo["type"], RegExp>> = {
  dataset: /^train\.[\w.]+$/,
  model: /^(adapter_(config\.json|model\.\w+)|(pytorch_)?model[\w.-]*\.(safetensors|bin)(\.index\.json)?)$/,
};

/** The licence of what it is made of. @throws UsageError when it cannot be known */
async function findLicence(
  base: string | undefined,
  sources: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string> {
  if (base !== undefined && isSmollm2(base)) return "apache-2.0";
  const isOnHub = base === undefined ? sources.length === 1 : !existsSync(base);
  const name = base ?? /^hf:([\w.-]+\/[\w.-]+)/.exec(sources[0]!)?.[1];
  const found =
    isOnHub && name !== undefined
      ? await licenceOf({ type: base === undefined ? "dataset" : "model", name }, signal)
      : undefined;
  if (found !== undefined) return found;
  throw new UsageError(
    `--license: expected the licence it may be given under, such as apache-2.0 or cc-by-nc-4.0, since that of its ${base === undefined ? "source" : "base model"} (${base ?? sources.join(", ")}) is not known here; look it up, and name it`,
  );
}

/** An adapter's settings with the base's id on the Hub. @throws RunError when its base is a folder of this machine */
function publicAdapter(path: string, base: string): string {
  const settings = z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(path, "utf8")));
  const named = settings["base_model_name_or_path"];
  if (typeof named === "string" && !existsSync(named)) return readFileSync(path, "utf8");
  if (!isSmollm2(base))
    throw new RunError(
      `${path}: expected an adapter whose base is on the Hub, so that others can load it, got one of the folder ${base}; train with --base OWNER/NAME, or fully (--method full)`,
    );
  return `${JSON.stringify({ ...settings, base_model_name_or_path: smollm2Id }, null, 2)}\n`;
}

async function readSettings(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readWhole(path, "utf8").catch(() => "");
  return z.record(z.string(), z.unknown()).safeParse(parse(text)).data ?? {};
}

/** `.jsonl.gz` of a path that ends so. */
function extensionOf(path: string): string {
  const outer = extname(path);
  return /^\.(gz|zst)$/i.test(outer) ? extname(path.slice(0, -outer.length)) + outer : outer;
}

function sized(path: string, from: string): PushPlan["files"][number] {
  const info = statSync(from, { throwIfNoEntry: false });
  if (!info) throw new RunError(`${from}: expected the file there, found nothing; make it again`);
  return { path, from, bytes: info.size };
}
