import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { CopyButton } from "./copy.tsx";
import { Notice } from "./words.tsx";

interface DetailPanelProps {
  /** `row`, `pair`: names the heading's element. */
  readonly what: string;
  readonly heading: ComponentChildren;
  /** Changes when another one is shown; the heading gets the focus then. */
  readonly of: string;
  /** Links to the neighbours in the list; undefined at its ends. */
  readonly previous: string | undefined;
  readonly next: string | undefined;
  /** The one in full; undefined while it is not there. */
  readonly children: ComponentChildren | undefined;
  readonly problem: string | undefined;
  readonly isLoading: boolean;
  /** Why there is nothing to show. */
  readonly missing: string;
  readonly onClose: () => void;
}

/** One line of a list in full, with links to its neighbours. */
export function DetailPanel({ what, heading, of, previous, next, children, ...rest }: DetailPanelProps) {
  const { problem, isLoading, missing, onClose } = rest;
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), [of]);
  return (
    <section
      class="panel"
      aria-labelledby={`${what}-heading`}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <div class="panel-head">
        <h3 id={`${what}-heading`} tabIndex={-1} ref={title}>
          {heading}
        </h3>
        <CopyButton text={() => location.href}>copy link</CopyButton>
        <Neighbour name="previous" href={previous} />
        <Neighbour name="next" href={next} />
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      {children !== undefined ? (
        children
      ) : problem !== undefined ? (
        <Notice kind="alarm">{problem}</Notice>
      ) : isLoading ? (
        <p class="quiet">…</p>
      ) : (
        <p>{missing}</p>
      )}
    </section>
  );
}

function Neighbour({ name, href }: { readonly name: string; readonly href: string | undefined }) {
  return href === undefined ? (
    <button type="button" disabled>
      {name}
    </button>
  ) : (
    <a class="button" href={href}>
      {name}
    </a>
  );
}
