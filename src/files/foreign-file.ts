import { readFile } from "node:fs/promises";

/** Whether there is a file that is none of ours, and so must not be replaced. @param isOwn whether a text is what we would have written */
export async function isForeignFile(path: string, isOwn: (text: string) => boolean): Promise<boolean> {
  try {
    return !isOwn(await readFile(path, "utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return false; // writing the file reports such problems
    if (code === "EISDIR") return true;
    throw error;
  }
}
