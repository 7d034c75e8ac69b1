// The search over the captions, and the evidence of a sentence: two lists of moments, marked over the tracks.
const MOST_SHOWN = 300;
let haystack = [];

function indexCaptions() {
  haystack = night.captions.map((texts) => texts.join(" ").toLowerCase());
}

function search() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? haystack.flatMap((text, k) => words.every((word) => text.includes(word)) ? [k] : []) : [];
  byId("search-count").textContent = !words.length ? "" :
    `${found.length} of ${night.epochs} epochs${found.length > MOST_SHOWN ? `; the first ${MOST_SHOWN} are listed` : ""}`;
  byId("found").replaceChildren(...found.slice(0, MOST_SHOWN).map((epoch) => row(epoch, snippet(epoch, words))));
  markTimes(found.map((epoch) => [epoch * night.seconds, night.seconds]));
}

function row(epoch, ...content) {
  return made("li", { "data-epoch": epoch }, made("button", { type: "button", onclick: () => showEpoch(epoch) },
    made("b", {}, clock(epoch * night.seconds)), " ", made("span", { class: "stage" }, NAMES[stages[epoch]]), " ", ...content));
}

/** The words around the first match, with every match marked. */
function snippet(epoch, words) {
  const text = night.captions[epoch].join(" ");
  const low = text.toLowerCase();
  const place = Math.max(0, Math.min(...words.map((word) => low.indexOf(word))) - 20);
  const part = text.slice(place, place + 110);
  const marks = [];
  for (const word of words) {
    for (let at = part.toLowerCase().indexOf(word); at >= 0; at = part.toLowerCase().indexOf(word, at + 1)) {
      marks.push([at, at + word.length]);
    }
  }
  marks.sort((a, b) => a[0] - b[0]);
  const pieces = [place ? "…" : ""];
  let done = 0;
  for (const [from, to] of marks) {
    if (from < done) continue;
    pieces.push(part.slice(done, from), made("mark", {}, part.slice(from, to)));
    done = to;
  }
  return made("span", {}, ...pieces, part.slice(done));
}

function showEvidence(number, text) {
  const moments = night.evidence[number];
  byId("evidence-text").textContent = text;
  byId("moments").replaceChildren(...moments.map(([onset, , label]) => {
    const epoch = Math.min(night.epochs - 1, Math.floor(onset / night.seconds));
    return made("li", { "data-epoch": epoch }, made("button", { type: "button", onclick: () => showEpoch(epoch) },
      made("b", {}, clock(onset)), ` ${label}`));
  }));
  markTimes(moments.length === 1 && moments[0][1] >= total() ? [] : moments);
  showTab("evidence");
  showEpoch(Math.floor(moments[0][0] / night.seconds), true);
}

function bindSearch() {
  byId("search").addEventListener("input", search);
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") byId("found").querySelector("button")?.click();
  });
  for (const link of document.querySelectorAll("a[data-evidence]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      for (const other of document.querySelectorAll("a.chosen")) other.classList.remove("chosen");
      link.classList.add("chosen");
      showEvidence(Number(link.dataset.evidence), link.textContent);
    });
  }
}
