import { readWhole } from "./read-file.ts";

/** Whether there is a file that is none of ours, and so must not be replaced. @param isOwn whether a text is what we would have written */
export async function isForeignFile(path: string, isOwn: (text: string) => boolean): Promise<boolean> {
  try {
    return !isOwn(await readWhole(path, "utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return false; // writing the file reports such problems
    if (code === "EISDIR" || code === "ENOTFILE") return true;
    throw error;
  }
}
