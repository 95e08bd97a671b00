import { readFileSync, statSync } from "node:fs";
import { UsageError, messageOf } from "../errors.ts";
import type { ChatModel, ModelServer, OpenModelOptions } from "./chat-model.ts";
import type { SeveralServers } from "./model-name.ts";
import { checkAddress, openCompatibleModel } from "./open-compatible.ts";

/*
 * One model on several servers of OpenAI's protocol: `http://a:8000/v1,http://b:8000/v1#MODEL`, or `servers:FILE#MODEL`, a file with an
 * address a line, which is read again when it changes.
 */

const lookMs = 1_000; // between two looks at the file

/**
 * Opens a model on several servers. Replies are kept by the model's name, not by address, so that servers can come and go. Each server
 * gets its own key alone.
 *
 * @throws UsageError when an address is none, one is listed twice, or the file cannot be read or lists none
 */
export async function openServers(
  { model, addresses, file }: SeveralServers,
  options: OpenModelOptions,
): Promise<ChatModel> {
  const known = new Map<string, ModelServer>();
  let first: ChatModel | undefined;
  const open = async (list: readonly string[]): Promise<void> => {
    for (const address of list)
      if (!known.has(address)) {
        const opened = await openCompatibleModel(`${address}#${model}`, options);
        first ??= opened;
        if (opened.problem !== undefined) throw new UsageError(opened.problem);
        known.set(address, toServer(address, opened));
      }
  };
  let text = file === undefined ? "" : readList(file);
  const listed = file === undefined ? checkAddresses(addresses, "") : parseList(text, file);
  const name = `${file === undefined ? listed.join(",") : `servers:${file}`}#${model}`;
  await open(listed);
  let current = listed.map((address) => known.get(address)!);
  let problem: string | undefined;
  let lookedAt = performance.now();
  let changedAt = file === undefined ? 0 : changeOf(file);

  /** Looks whether the file has changed. Servers that are new are there at the next look, once they are open. */
  const look = (): void => {
    const now = performance.now();
    if (file === undefined || now - lookedAt < lookMs) return;
    lookedAt = now;
    try {
      const changed = changeOf(file);
      if (changed === changedAt) return;
      changedAt = changed;
      const found = readList(file);
      const list = parseList(found, file);
      problem = undefined;
      if (found === text) return;
      text = found;
      void open(list).then(
        () => (current = list.map((address) => known.get(address)!)),
        (error: unknown) => (problem = messageOf(error)),
      );
    } catch (error) {
      problem = messageOf(error); // the servers stay as they were
    }
  };

  return {
    name,
    identity: `servers#${model}`,
    language: {
      doGenerate: () => Promise.reject(new Error(`${name}: expected one of its servers to be asked`)),
    },
    servers: {
      current: () => {
        look();
        return current;
      },
    },
    price: options.price,
    thinksFirst: false,
    timeoutMs: first!.timeoutMs,
    notes: () => [
      ...new Set([...known.values()].flatMap(({ notes }) => notes?.() ?? [])),
      ...(problem === undefined ? [] : [`the list of servers was not read again: ${problem}`]),
    ],
    ...(first!.tellLogprobs && { tellLogprobs: first!.tellLogprobs }),
    redact: (said, of) => [...known.values()].reduce((clean, { redact }) => redact(clean, of), said),
  };
}

function toServer(address: string, model: ChatModel): ModelServer {
  const { language, measuring, keyAdvice, notes } = model;
  return {
    address,
    language,
    measuring,
    redact: (text, of) => model.redact(text, of),
    ...(keyAdvice !== undefined && { keyAdvice }),
    ...(notes && { notes }),
  };
}

function readList(file: string): string {
  try {
    const info = statSync(file);
    if (!info.isFile())
      throw new UsageError(`${file}: expected a file with the address of a server a line, got another thing`);
    return readFileSync(file, "utf8");
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT"; // readFileSync fails with errors of this kind
    throw new UsageError(
      `${file}: expected a file with the address of a server a line, ${isMissing ? "found no such file" : `it cannot be read (${messageOf(cause)})`}`,
      { cause },
    );
  }
}

/** A number that changes with the file; -1 while there is none. */
function changeOf(file: string): number {
  const info = statSync(file, { throwIfNoEntry: false });
  return info ? info.mtimeMs + info.size / 1e9 : -1;
}

/** The addresses in a file: one a line, without empty lines and what follows a #. */
function parseList(text: string, file: string): string[] {
  const lines = text.split(/\r?\n/).flatMap((line, i) => {
    const address = line.replace(/(^|\s)#.*$/, "").trim();
    return address === "" ? [] : [{ address, before: `${file}:${i + 1}: ` }];
  });
  if (lines.length === 0)
    throw new UsageError(`${file}: expected the address of a server a line, as http://127.0.0.1:8000/v1, got none`);
  return checkAddresses(
    lines.map(({ address }) => address),
    (i) => lines[i]!.before,
  );
}

function checkAddresses(addresses: readonly string[], before: string | ((i: number) => string)): string[] {
  const checked = addresses.map((address, i) =>
    checkAddress(address.trim(), typeof before === "string" ? before : before(i)),
  );
  const twice = checked.findIndex((address, i) => checked.indexOf(address) < i);
  if (twice >= 0)
    throw new UsageError(
      `${typeof before === "string" ? before : before(twice)}expected each server once, got ${checked[twice]} again`,
    );
  return checked;
}
