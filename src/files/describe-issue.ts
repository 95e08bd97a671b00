import leven from "leven";
import * as z from "zod";

/*
 * What is wrong with a file of settings, in one line: place, expected, got, and what was perhaps meant.
 */

/**
 * Puts an issue into words. Reads what was expected from the schema and what was there from the value.
 *
 * @param whole what the file is, for an issue that no field has: `a recipe`
 */
export function describeIssue(issue: z.core.$ZodIssue, schema: z.ZodType, value: unknown, whole: string): string {
  const field = issue.path.map(String).join(".");
  const found = valueAt(value, issue.path);
  const place = field === "" ? "" : `${field}: `;
  switch (issue.code) {
    case "unrecognized_keys": {
      const [key = ""] = issue.keys;
      const fields = fieldsAt(schema, issue.path, value);
      const meant = nearest(key, fields);
      const known = fields.length > 0 ? fields.join(", ") : "another field";
      return meant === undefined
        ? `${place}expected ${known}, got ${key}`
        : `${place}expected ${meant}, got ${key} (the fields are ${known})`;
    }
    case "invalid_value": {
      const values = issue.values.map(String);
      const meant = typeof found === "string" ? nearest(found, values) : undefined;
      return `${place}expected ${values.join(", ")}, got ${shown(found)}${meant === undefined ? "" : `; did you mean ${meant}?`}`;
    }
    case "invalid_key":
      return `${place}${issue.issues[0]?.message ?? issue.message}, got ${JSON.stringify(String(issue.path.at(-1)))}`;
    case "invalid_type":
      return place === ""
        ? `expected ${whole} (${fieldsAt(schema, [], value).join(", ")}), got ${shown(found)}`
        : `${place}expected ${nameOfType(issue.expected)}, got ${shown(found)}`;
    case "too_small":
    case "too_big":
      return `${place}expected ${limitOf(issue)}, got ${shown(found)}`;
    case "invalid_union": {
      if ("discriminator" in issue && typeof issue.discriminator === "string" && issue.errors.length === 0)
        return `${place}expected ${kindsAt(schema, issue.path.slice(0, -1), issue.discriminator).join(", ")}, got ${shown(found)}`;
      if (!issue.message.startsWith("Invalid")) return `${place}${issue.message}, got ${shown(found)}`;
      const branches = issue.errors.filter((errors) => errors.length > 0);
      // the kind that was meant: the one whose type fits, and something within is wrong
      const meant = branches.find(([first]) => first!.code !== "invalid_type" || first.path.length > 0);
      if (meant) return describeIssue({ ...meant[0]!, path: [...issue.path, ...meant[0]!.path] }, schema, value, whole);
      const types = branches.flatMap(([first]) => (first!.code === "invalid_type" ? [nameOfType(first.expected)] : []));
      return `${place}expected ${[...new Set(types)].join(" or ")}, got ${shown(found)}`;
    }
    default: {
      const isScalar = found !== undefined && (typeof found !== "object" || found === null);
      const isTold = /, got /.test(issue.message) || !issue.message.startsWith("expected") || !isScalar;
      return `${place}${issue.message}${isTold ? "" : `, got ${shown(found)}`}`;
    }
  }
}

/** Which of the names was perhaps meant: one that differs in a few letters, or begins or ends with what was written. */
function nearest(written: string, names: readonly string[]): string | undefined {
  const [low, ...others] = [written, ...names].map((name) => name.toLowerCase());
  const most = Math.max(1, Math.floor(written.length / 3));
  const distances = others.map((name) => {
    const isPart = low!.length > 2 && (name.startsWith(low!) || name.endsWith(low!));
    return isPart ? Math.min(1, leven(low!, name)) : leven(low!, name, { maxDistance: most + 1 });
  });
  const least = Math.min(...distances);
  return least <= most ? names[distances.indexOf(least)] : undefined;
}

function nameOfType(expected: string): string {
  switch (expected) {
    case "string":
      return "text";
    case "int":
      return "a whole number";
    case "array":
    case "tuple":
      return "a list";
    case "object":
    case "record":
      return "fields with values";
    case "boolean":
      return "true or false";
    default:
      return `a ${expected}`;
  }
}

function limitOf(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const isLeast = issue.code === "too_small";
  const limit = isLeast ? issue.minimum : issue.maximum;
  const of = issue.origin === "string" ? " characters" : issue.origin === "array" ? " in the list" : "";
  if (of !== "" && limit === 1 && isLeast)
    return issue.origin === "string" ? "a text that is not empty" : "a list that is not empty";
  return issue.inclusive === false
    ? `${isLeast ? "more" : "less"} than ${String(limit)}`
    : `at ${isLeast ? "least" : "most"} ${String(limit)}${of}`;
}

/** A value as a message shows it: what is short as it is written, else its kind. */
function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "fields with values";
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 97)}…` : text;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let inner = value;
  for (const key of path) {
    if (typeof inner !== "object" || inner === null || !Object.hasOwn(inner, key)) return undefined;
    inner = (inner as Record<PropertyKey, unknown>)[key]; // checked
  }
  return inner;
}

/** The fields that a place of the file may have; none where any may stand there. Of several kinds of values, those of the kind that is meant. */
function fieldsAt(schema: z.core.$ZodType, path: readonly PropertyKey[], value: unknown): string[] {
  const found = valueAt(value, path);
  const places = placesAt(schema, path).filter((place) => place instanceof z.ZodObject);
  const meant = places.filter((place) =>
    Object.entries(place.shape).every(
      ([name, inner]) => !(inner instanceof z.ZodLiteral) || inner.values.has(valueAt(found, [name]) as string),
    ),
  );
  const names = (meant.length > 0 ? meant : places).flatMap((place) => Object.keys(place.shape));
  return [...new Set(names)].filter((name) => name !== "$schema");
}

/** The values of the field that tells kinds apart. */
function kindsAt(schema: z.core.$ZodType, path: readonly PropertyKey[], field: string): string[] {
  return placesAt(schema, path).flatMap((place) => {
    const inner = place instanceof z.ZodObject ? place.shape[field] : undefined;
    return inner instanceof z.ZodLiteral ? [...inner.values].map(String) : [];
  });
}

function placesAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType[] {
  let places = unwrapped(schema);
  for (const key of path)
    places = places.flatMap((place): z.core.$ZodType[] => {
      if (place instanceof z.ZodObject) return key in place.shape ? unwrapped(place.shape[String(key)]) : [];
      if (place instanceof z.ZodRecord) return unwrapped(place.valueType);
      if (place instanceof z.ZodArray) return unwrapped(place.element);
      return [];
    });
  return places;
}

/** The kinds that a schema may be, without what wraps them. */
function unwrapped(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodReadonly
  )
    return unwrapped(schema.unwrap());
  if (schema instanceof z.ZodPipe) return unwrapped(schema.in);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(unwrapped);
  return [schema];
}
