// What happens when the page is opened, and the keys that work everywhere.
function isTyping(target) {
  return target.closest("input:not([type=range]), textarea, select") !== null;
}

function pressed(event) {
  const bracket = "[]{}".includes(event.key) && !event.metaKey; // many keyboards have them on AltGr
  if ((event.ctrlKey || event.metaKey || event.altKey) && !bracket) {
    const action = event.altKey || isTyping(event.target) ? undefined : { z: undo, s: save }[event.key];
    if (action) { event.preventDefault(); action(); }
    return;
  }
  if (event.key === "Escape") { event.target.blur(); markTimes([]); choose(null); return; }
  if (isTyping(event.target)) return;
  if (event.key === "Enter" && event.target.closest("button, a, summary")) return;
  const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
  if (event.key in steps && event.target.closest("input, [role=tablist]") === null) showEpoch(current + steps[event.key]);
  else if (event.key === "/") { showTab("search"); byId("search").focus(); byId("bench").scrollIntoView(); }
  else if (event.key === "v" || event.key === "V") openReview();
  else if (event.key === "g" || event.key === "G") { byId("go").focus(); byId("bench").scrollIntoView(); }
  else if (event.key === "+" || event.key === "=") zoom(0.5, (current + 0.5) * night.seconds);
  else if (event.key === "-") zoom(2);
  else if (shownTab() !== "review" || !reviewKey(event)) return;
  event.preventDefault();
}

async function start() {
  night = JSON.parse(new TextDecoder().decode(await inflated("data-night")));
  recall();
  view.to = total();
  byId("bench").hidden = false;
  indexCaptions();
  fillQueue();
  bindTimeline();
  bindSignals();
  bindEpoch();
  bindSearch();
  bindReview();
  redrawTracks();
  showTab("captions");
  const asked = parseInt(location.hash.slice(1), 10);
  setView(0, total());
  showEpoch(Number.isFinite(asked) ? asked : firstEpoch());
  document.addEventListener("keydown", pressed);
  document.documentElement.dataset.ready = "yes";
  await readTraces();
  drawSignals();
  document.documentElement.dataset.ready = "signals";
}

/** The first epoch of sleep, or else the first one. */
const firstEpoch = () => Math.max(0, [...night.stages].findIndex((letter) => "123R".includes(letter)));

start();
