import {
  DuckDBListType,
  DuckDBMapType,
  DuckDBStructType,
  DuckDBTypeId,
  type DuckDBConnection,
  type DuckDBType,
} from "@duckdb/node-api";
import type { Dataset } from "../dataset/dataset.ts";
import { sqlName, sqlPath, sqlText } from "../dataset/duckdb.ts";
import { parquetReader } from "../dataset/parquet-records.ts";
import { maxRecordBytes } from "../dataset/place.ts";

/*
 * How DuckDB reads the data's own files for the table of rows.
 */

/** Whether values of several kinds stand in a column, which DuckDB then gives as JSON. */
export function isJson(type: DuckDBType): boolean {
  return type.alias === "JSON";
}

/** SQL types of columns of cells that all are numbers, or all truth values, as readers of CSV have them. */
export async function readColumnTypes(
  connection: DuckDBConnection,
  source: string,
  names: readonly string[],
  types: readonly DuckDBType[],
  texts: readonly string[],
): Promise<Map<string, string>> {
  const columns = names.filter((name, i) => types[i]!.typeId === DuckDBTypeId.VARCHAR && !texts.includes(name));
  const found = new Map<string, string>();
  if (columns.length === 0) return found;
  const kinds = [
    ["BIGINT", String.raw`-?(0|[1-9]\d{0,14})`],
    ["DOUBLE", String.raw`-?(0|[1-9]\d{0,14})(\.\d+)?`],
    ["BOOLEAN", "(?i)true|false"],
  ] as const;
  const asked = columns.flatMap((name, i) => {
    const cell = isJson(types[names.indexOf(name)]!) ? `(${sqlName(name)} ->> '$')` : sqlName(name);
    return kinds.map(([kind, form]) => `bool_and(regexp_full_match(${cell}, ${sqlText(form)})) AS ${kind}_${i}`);
  });
  const [all = []] = (await connection.runAndReadAll(`SELECT ${asked.join(", ")} FROM ${source}`)).getRows();
  for (const [i, name] of columns.entries()) {
    const kind = kinds.findIndex((_, k) => all[i * kinds.length + k] === true);
    if (kind >= 0) found.set(name, kinds[kind]![0]);
  }
  return found;
}

/**
 * The columns of JSON with their types, for DuckDB, where it takes texts for times or UUIDs: which no setting turns off. Undefined where it
 * does not.
 */
export function withTexts(names: readonly string[], types: readonly DuckDBType[]): string | undefined {
  if (!types.some((type) => hasOther(type))) return undefined;
  return names.map((name, i) => `${sqlName(name)}: ${sqlText(textType(types[i]!))}`).join(", ");
}

function hasOther(type: DuckDBType): boolean {
  if (type instanceof DuckDBListType) return hasOther(type.valueType);
  if (type instanceof DuckDBStructType) return type.entryTypes.some(hasOther);
  if (type instanceof DuckDBMapType) return hasOther(type.valueType);
  return type.typeId === DuckDBTypeId.TIME || type.typeId === DuckDBTypeId.UUID;
}

function textType(type: DuckDBType): string {
  if (type instanceof DuckDBListType) return `${textType(type.valueType)}[]`;
  if (type instanceof DuckDBStructType)
    return `STRUCT(${type.entryNames.map((name, i) => `${sqlName(name)} ${textType(type.entryTypes[i]!)}`).join(", ")})`;
  if (type instanceof DuckDBMapType) return `MAP(${textType(type.keyType)}, ${textType(type.valueType)})`;
  return hasOther(type) ? "VARCHAR" : (type.alias ?? type.toString());
}

/** What stands after FROM to read a dataset's files. */
export function readerOf(dataset: Pick<Dataset, "format">, paths: readonly string[], columns?: string): string {
  const files = `[${paths.map(sqlPath).join(", ")}]`;
  switch (dataset.format) {
    case "parquet":
      return parquetReader(paths);
    case "csv": // of these a copy is read
    case "arrow":
    case "json":
    case "jsonl": {
      const format = dataset.format === "json" ? "array" : "newline_delimited";
      if (columns !== undefined)
        return `read_json(${files}, format = '${format}', records = true, columns = {${columns}}, maximum_object_size = ${maxRecordBytes})`;
      // a text that looks like a date is a text
      const dates = "dateformat = '%Y-%m-%d is no text', timestampformat = '%Y-%m-%dT%H:%M:%S is no text'";
      return `read_json(${files}, format = '${format}', records = true, ${dates}, sample_size = -1, union_by_name = true, maximum_object_size = ${maxRecordBytes})`;
    }
  }
}
