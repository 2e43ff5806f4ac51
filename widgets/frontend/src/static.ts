// The static picture that stands below a live view is hidden while the live view is there.

const counts = new Map<string, number>();

/** Hides the picture of a run by a rule, which also holds for pictures that are drawn later. */
export function hideStatic(page: Document, key: string): () => void {
  const id = `deepseek-hide-${key}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
  if (page.getElementById(id) === null) {
    const selector = `[data-deepseek-static="${CSS.escape(key)}"]`;
    const style = page.createElement("style");
    style.id = id;
    style.textContent = `${selector}, .jp-OutputArea-child:has(${selector}) { display: none; }`;
    page.head.append(style);
  }
  return () => {
    const left = (counts.get(key) ?? 1) - 1;
    counts.set(key, left);
    if (left === 0) page.getElementById(id)?.remove();
  };
}
