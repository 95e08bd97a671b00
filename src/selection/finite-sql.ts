import { DuckDBArrayType, DuckDBListType, DuckDBStructType, DuckDBTypeId, type DuckDBType } from "@duckdb/node-api";
import { sqlName, sqlText } from "../dataset/duckdb.ts";

/**
 * SQL of a value in which numbers that are not finite are null, also within structs and lists, as rows are read. Maps keep theirs.
 *
 * @param value SQL of the value @returns undefined where the type has no numbers that may not be finite
 */
export function finiteSql(value: string, type: DuckDBType, depth = 0): string | undefined {
  if (type.typeId === DuckDBTypeId.FLOAT || type.typeId === DuckDBTypeId.DOUBLE)
    return `CASE WHEN isfinite(${value}) THEN ${value} END`;
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) {
    const element = `element_${depth}`;
    const inner = finiteSql(element, type.valueType, depth + 1);
    return inner && `list_transform(${value}, lambda ${element}: ${inner})`;
  }
  if (!(type instanceof DuckDBStructType)) return undefined;
  const fields = type.entryNames.map((name, i) => {
    const field = `struct_extract(${value}, ${name === "" ? i + 1 : sqlText(name)})`; // a field may have no name
    return { name, field, inner: finiteSql(field, type.entryTypes[i]!, depth) };
  });
  if (fields.every(({ inner }) => inner === undefined)) return undefined;
  const packed = fields.map(({ name, field, inner }) => `${sqlName(name)} := ${inner ?? field}`).join(", ");
  return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${packed}) END`;
}
