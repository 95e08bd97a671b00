import { useEffect, useState } from "preact/hooks";

export type Theme = "light" | "dark";

/** The colour theme, and a function that switches it. The system's theme is used until then. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(() => remembered() ?? ofSystem());
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  const turn = () => {
    const other = theme === "dark" ? "light" : "dark";
    setTheme(other);
    try {
      localStorage.setItem("alpagasus-theme", other);
    } catch {
      // a page from disk may have no storage
    }
  };
  return [theme, turn];
}

function ofSystem(): Theme {
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function remembered(): Theme | undefined {
  try {
    const theme = localStorage.getItem("alpagasus-theme");
    return theme === "dark" || theme === "light" ? theme : undefined;
  } catch {
    return undefined;
  }
}
