const jinjaNames = ["loop", "range", "true", "false", "none", "True", "False", "None"];

/** The variables that a template does not define itself. */
export function freeNames(template: unknown): Set<string> {
  const used = new Set<string>();
  const bound = new Set<string>(jinjaNames);
  const visit = (node: unknown, key = ""): void => {
    if (Array.isArray(node)) return node.forEach((child) => visit(child, key));
    if (typeof node !== "object" || node === null) return;
    const { type, value } = node as { type?: string; value?: unknown }; // the parser's own nodes
    if (type === "Identifier") {
      const isOutside = !["filter", "test", "property", "name", "operator"].includes(key);
      if (isOutside && typeof value === "string") (key === "loopvar" || key === "assignee" ? bound : used).add(value);
      return;
    }
    for (const [name, child] of Object.entries(node)) {
      const isPlainMember = name === "property" && "computed" in node && node.computed === true;
      const isFilterCall = key === "filter" && name === "callee";
      const isCondition = name === "test" && type !== "TestExpression"; // of an if: its names are variables
      visit(child, isPlainMember || isCondition ? "" : isFilterCall ? "filter" : name);
    }
  };
  visit(template);
  return new Set([...used].filter((name) => !bound.has(name)));
}
