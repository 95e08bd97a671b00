import { useState } from "preact/hooks";

const saidMs = 1_500;

/** Copies a text and says whether it worked. */
export function CopyButton({ text, children }: { text: () => string; children: string }) {
  const [said, setSaid] = useState<string>();
  const copy = async () => {
    setSaid((await write(text())) ? "copied" : "copying is blocked here");
    setTimeout(() => setSaid(undefined), saidMs);
  };
  return (
    <button type="button" class="small" onClick={() => void copy()}>
      <span aria-live="polite">{said ?? children}</span>
    </button>
  );
}

async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // pages from disk have no clipboard API in some browsers
  }
}

function copyBySelection(text: string): boolean {
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied;
}
