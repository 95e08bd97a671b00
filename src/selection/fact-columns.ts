/** What SQL is told of each row beside the data's columns, with its types. */
export const factColumns =
  "index INTEGER, score DOUBLE, state VARCHAR, instruction_length INTEGER, input_length INTEGER, output_length INTEGER, length INTEGER";
/** Fact columns for SQL. If the data also has the name, the fact is `rating_NAME` and the data's column `data_NAME`. */
export const factNames = factColumns.split(", ").map((column) => column.split(" ", 1)[0]!);
