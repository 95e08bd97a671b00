/** Whether a judge's name means a student: `student`, `student:FILE`. */
export function isStudentName(name: string): boolean {
  return /^student(:|$)/.test(name);
}

/** Whether a judge of this name sees both answers at once, so that their order can influence it. A student sees each alone. */
export function seesOrder(judge: string): boolean {
  return !isStudentName(judge);
}
