/** Whether a judge's name means a student: `student`, `student:FILE`. */
export function isStudentName(name: string): boolean {
  return /^student(:|$)/.test(name);
}

/** Whether a judge of this name sees both answers at once, so that their order can influence it. A student sees each alone. */
export function seesOrder(judge: string): boolean {
  return !isStudentName(judge);
}

/** Whether a name is a judge's, and not a file's with people's labels. */
export function isJudgeName(name: string): boolean {
  return (
    isStudentName(name) ||
    /^(https?:\/\/|(openai|anthropic|google|azure|bedrock|vertex|openrouter|mistral|groq|deepseek):)/.test(name)
  );
}
