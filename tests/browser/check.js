// Put into a copy of a report by report.sh, which also puts that copy into a frame as wide as the
// screen to be tried. Measures and uses the page, and sends what is wrong to the page around it.
addEventListener("load", () => {
  const wrong = [];
  const expect = (condition, message) => { if (!condition) wrong.push(message); };
  const page = document.documentElement;
  const fits = (when) => {
    expect(page.scrollWidth <= innerWidth, `${when}: ${page.scrollWidth} px in a window of ${innerWidth}`);
    for (const svg of document.querySelectorAll("svg.chart")) {
      const box = svg.getBoundingClientRect();
      if (box.width === 0) continue;  // in a closed part
      for (const text of svg.querySelectorAll("text")) {
        const t = text.getBoundingClientRect();
        expect(t.left >= box.left - 1 && t.right <= box.right + 1 && t.top >= box.top - 1 && t.bottom <= box.bottom + 1,
          `${when}: "${text.textContent}" is cut off in the chart ${svg.getAttribute("aria-label")}`);
      }
    }
  };

  fits("closed");
  const summaries = document.querySelectorAll("summary");
  for (const summary of summaries) {
    summary.click();
    expect(summary.parentElement.open, `does not unfold: ${summary.textContent}`);
  }
  fits("all unfolded");

  const links = document.querySelectorAll("a[href^='#']");
  expect(links.length > 0, "no links");
  for (const link of links) {
    const target = document.getElementById(link.getAttribute("href").slice(1));
    expect(target, `leads nowhere: ${link.getAttribute("href")}`);
    if (!target) continue;
    link.click();
    const top = target.getBoundingClientRect().top;
    const atEnd = scrollY + innerHeight >= page.scrollHeight - 1;
    expect(Math.abs(top) < 2 || (atEnd && top < innerHeight), `${target.id} is ${top} px from the top after its link`);
  }
  scrollTo(0, 0);

  for (const image of document.images) expect(image.naturalWidth > 0, `broken picture: ${image.alt}`);
  for (const table of document.querySelectorAll("figure details table"))
    expect(table.tBodies[0].rows.length > 0, "a chart has no numbers");
  const fetched = performance.getEntriesByType("resource").filter((r) => !r.name.startsWith("data:"));
  expect(fetched.length === 0, `fetches ${fetched.map((r) => r.name)}`);
  parent.postMessage({ wrong, charts: document.querySelectorAll("svg.chart").length, unfolded: summaries.length,
    links: links.length, pictures: document.images.length, width: innerWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches }, "*");
});
