// The texts of a page that are not to be seen whole: outside of the window, or cut by their box.
() => {
  const onPurpose = (box) => {
    for (let up = box; up; up = up.parentElement) {
      if (up.matches(".skip") || getComputedStyle(up).clipPath !== "none") return true;
    }
    return !box.checkVisibility({ visibilityProperty: true });
  };
  const wide = document.documentElement.clientWidth;
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.data.trim() || onPurpose(text.parentElement)) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const lines = [...range.getClientRects()].filter((line) => line.width > 1);
    if (lines.some((line) => line.left < -1 || line.right > wide + 1)) found.push(text.data);
  }
  for (const box of document.querySelectorAll("body *:not(input, select, textarea, svg, svg *)")) {
    const { overflowX, overflowY } = getComputedStyle(box);
    const cuts = (overflowX !== "visible" && box.scrollWidth > box.clientWidth + 1)
      || (overflowY !== "visible" && box.scrollHeight > box.clientHeight + 1);
    if (cuts && !onPurpose(box)) found.push(box.textContent);
  }
  return found.map((words) => words.trim().slice(0, 80));
}
