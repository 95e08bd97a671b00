import { messageOf, AlpagasusError, UsageError } from "../errors.ts";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { batchColumnsSince3, batchTables } from "./batches/batch-book.ts";
import { makeFolder } from "../files/make-folder.ts";
import { isOutOfRoom } from "./spare-room.ts";

const layout = 3;

const application = 0x616c7067; // "alpg"

const busyMs = 20_000;

const tables = `
create table if not exists calls (
  key text primary key,
  model text not null,
  state text not null,
  text text not null,
  finish text,
  detail text,
  build text,
  input_tokens integer,
  cached_input_tokens integer,
  cache_write_tokens integer,
  output_tokens integer,
  reasoning_tokens integer,
  cost integer,
  prompt_bytes integer not null,
  attempts integer not null,
  latency_ms integer not null,
  purse text not null,
  at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
  logprobs text
) strict;
create table if not exists purses (name text primary key, paid integer not null, perhaps_paid integer not null) strict, without rowid;
create table if not exists owners (id text primary key, host text not null, pid integer not null, seen_at integer not null) strict, without rowid;
create table if not exists claims (key text primary key, owner text not null, purse text not null, reserved integer not null) strict, without rowid;
`;

/** Opens a store, and creates it if missing. @throws UsageError when the file is something else, or stays locked */
export function openDatabase(path: string): DatabaseSync {
  const until = performance.now() + busyMs;
  for (;;) {
    try {
      return tryToOpen(path);
    } catch (cause) {
      if (!isBusy(cause) || performance.now() > until) throw describeOpening(path, cause);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, againMs * (1 + Math.random()));
    }
  }
}

const againMs = 20;
const busyCode = 5; // SQLITE_BUSY: SQLite does not wait itself while another process turns on write-ahead logging

function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === busyCode;
}

function tryToOpen(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    makeFolder(dirname(path));
    database = new DatabaseSync(path, { timeout: busyMs });
    expectOurs(database, path);
    // A reply is on disk before it counts: with "full", also when the power fails.
    database.exec("pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = 67108864");
    database.exec("begin immediate");
    const hasBatches = database.prepare("select 1 from sqlite_schema where name = 'batches'").get() !== undefined;
    database.exec(tables + batchTables);
    const before = readPragma(database, "user_version");
    if (before === 1) database.exec("alter table calls add column logprobs text");
    if (before > 0 && before < 3 && hasBatches) {
      for (const column of batchColumnsSince3) database.exec(`alter table batches add column ${column}`);
      database.exec("update batches set sent_at = 0 where provider_id is null"); // unknown whether they were sent
    }
    database.exec(`pragma application_id = ${application}; pragma user_version = ${layout}; commit`);
    return database;
  } catch (cause) {
    database?.close();
    throw cause;
  }
}

const readOnlyCode = 8; // SQLITE_READONLY: a rollback is needed before reading

/** Lets SQLite roll back a killed process's unfinished writes, which needs write access. */
function takeBackUnfinished(path: string): void {
  const look = (readOnly: boolean) => {
    const database = new DatabaseSync(path, { timeout: busyMs, readOnly });
    try {
      database.prepare("pragma user_version").get();
    } finally {
      database.close();
    }
  };
  try {
    look(true);
  } catch (error) {
    if (((error as { errcode?: number }).errcode ?? 0) % 256 === readOnlyCode) look(false);
  }
}

/** An empty store in memory. */
function openNothing(): DatabaseSync {
  const nothing = new DatabaseSync(":memory:");
  nothing.exec(tables + batchTables);
  return nothing;
}

/** Opens a store only for reading; a missing file is read as an empty store. */
export function openToRead(path: string): DatabaseSync {
  if (!existsSync(path)) return openNothing();
  let database: DatabaseSync | undefined;
  try {
    takeBackUnfinished(path);
    database = new DatabaseSync(path, { timeout: busyMs, readOnly: true });
    expectOurs(database, path);
    const version = readPragma(database, "user_version");
    if (version === layout) return database;
    database.close();
    if (version > 0) {
      openDatabase(path).close(); // upgrades an older layout
      return new DatabaseSync(path, { timeout: busyMs, readOnly: true });
    } // version 0: its creator was killed before writing anything
    return openNothing();
  } catch (cause) {
    database?.close();
    if (cannotOpen(cause) && !(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0))
      return openUnchanging(path);
    throw describeOpening(path, cause);
  }
}

function cannotOpen(error: unknown): boolean {
  return [8, 14].includes(((error as { errcode?: number }).errcode ?? 0) % 256); // SQLITE_READONLY, SQLITE_CANTOPEN
}

/** Opens a store on a disk that cannot be written, where SQLite finds no room for its own files beside it. */
function openUnchanging(path: string): DatabaseSync {
  const url = pathToFileURL(path);
  url.search = "immutable=1";
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(url, { readOnly: true });
    expectOurs(database, path);
    return database;
  } catch (cause) {
    database?.close();
    throw describeOpening(path, cause);
  }
}

/** Says what is wrong with a store that turns out to be damaged when it is used; undefined for other errors. */
export function describeDamage(error: unknown): string | undefined {
  const isDamaged = [11, 26].includes(((error as { errcode?: number }).errcode ?? 0) % 256); // SQLITE_CORRUPT, SQLITE_NOTADB
  return isDamaged ? `the call store is damaged (${messageOf(error)}); ${howToMend()}` : undefined;
}

/** @throws UsageError when it is another program's database, or of a later layout */
function expectOurs(database: DatabaseSync, path: string): void {
  const isNew = readPragma(database, "user_version") === 0 && readPragma(database, "schema_version") === 0;
  if (!isNew && readPragma(database, "application_id") !== application)
    throw new UsageError(`${path}: expected a call store, got another database; name another file with --store`);
  if (readPragma(database, "user_version") > layout)
    throw new UsageError(`${path}: expected a call store of layout ${layout}, got a newer one; update alpagasus`);
}

function readPragma(database: DatabaseSync, name: string): number {
  return Number(Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0]);
}

function describeOpening(path: string, cause: unknown): Error {
  if (cause instanceof AlpagasusError) return cause;
  const seen = whyUnseen(path);
  if (seen !== undefined) return new UsageError(`${path}: ${seen}`, { cause });
  if (isOutOfRoom(cause) || /^E(?:NOSPC|DQUOT)$/.test(codeOf(cause)))
    return new AlpagasusError(
      `${path}: the call store cannot be opened (${messageOf(cause)}); make room on its disk, then run the same command again: what is stored is kept`,
      { cause },
    );
  if (/^E(?:ACCES|PERM|ROFS|NOTDIR|EXIST)$/.test(codeOf(cause)))
    return new UsageError(
      `${path}: the call store cannot be made (${messageOf(cause)}); name another file with --store`,
      {
        cause,
      },
    );
  return new UsageError(
    `${path}: expected a call store, got ${describeStoreError(cause)}; ${howToMend(path)}, or name another file with --store`,
    { cause },
  );
}

/** Why a store cannot be looked at though it may be whole: its folder or file is not to be read by this user, or a folder lies there. */
export function whyUnseen(path: string): string | undefined {
  try {
    if (statSync(path).isDirectory())
      return "expected a call store, got a folder; move it away, or name another file with --store";
    accessSync(path, constants.R_OK);
  } catch (error) {
    if (/^E(?:ACCES|PERM)$/.test(codeOf(error)))
      return "the call store may not be read by this user (permission denied); make it and its folder readable, and leave it where it is";
  }
  return undefined;
}

/** What SQLite keeps beside a store may hold its latest replies. */
function howToMend(path?: string): string {
  const beside = path === undefined ? "the files -wal and -shm beside it" : `${path}-wal and ${path}-shm`;
  return `bring back a copy of it, or move it away with ${beside}, if they are there (a run that has paid from it then says how to go on)`;
}

function codeOf(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" ? code : "";
}

function describeStoreError(cause: unknown): string {
  const message = messageOf(cause);
  if (/not a database/.test(message)) return "a file of another kind";
  if (/is locked/.test(message)) return "one that another process holds";
  return message.split("\n", 1)[0]!;
}
