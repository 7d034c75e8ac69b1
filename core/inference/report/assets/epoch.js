// One epoch: its stage, its signals, its captions.
const TABS = ["captions", "review", "search", "evidence"];

function showTab(name) {
  for (const tab of TABS) {
    byId(`tab-${tab}`).setAttribute("aria-selected", String(tab === name));
    byId(`tab-${tab}`).tabIndex = tab === name ? 0 : -1;
    byId(`panel-${tab}`).hidden = tab !== name;
  }
  if (name === "review") redrawReview();
}

const shownTab = () => TABS.find((tab) => !byId(`panel-${tab}`).hidden);

/** Show an epoch; bring its signals into view where a click far above asked for it. */
function showEpoch(epoch, intoView = false) {
  current = Math.max(0, Math.min(night.epochs - 1, epoch));
  chosenEvent = null;
  byId("bench").dataset.epoch = current;
  byId("epoch-title").textContent = `Epoch ${current}, ${clock(current * night.seconds)}`;
  if (!inView(current)) {
    const span = view.to - view.from;
    setView((current + 0.5) * night.seconds - span / 2, (current + 0.5) * night.seconds + span / 2);
  }
  placeCursor();
  redrawEpoch();
  if (intoView) byId("bench").scrollIntoView({ block: "start", behavior: calm.matches ? "auto" : "smooth" });
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");

function redrawEpoch() {
  drawStages();
  drawCaptions();
  drawSignals();
  drawEventTools();
  const told = eventsIn(current).map(labelOf).join(", ") || "no events";
  byId("signals").setAttribute("aria-label", `Signals of epoch ${current}, stage ${NAMES[stages[current]]}, ${told}`);
  const mark = byId("overview").querySelector("rect.here");
  if (mark) mark.setAttribute("x", current * night.seconds);
  markQueue();
}

function drawStages() {
  const human = night.source === "scoring";
  const buttons = LETTERS.map((letter) => {
    const chance = probability(current, letter);
    const stands = stages[current] === letter;
    const button = made("button", {
      type: "button", "aria-pressed": String(stands), "data-stage": letter, onclick: () => decide(letter, false),
      title: human && night.model ? `The model: ${NAMES[night.model[current]]}` : null,
    }, made("b", {}, NAMES[letter]), made("small", {}, Number.isNaN(chance) ? " " : percent(chance)));
    if (night.stages[current] === letter && !stands) button.classList.add("was");
    return button;
  });
  byId("stages").replaceChildren(...buttons);
  byId("stages").classList.toggle("corrected", stages[current] !== night.stages[current]);
}

function drawCaptions() {
  const parts = [];
  const found = eventsIn(current);
  if (human() !== null) parts.push(made("p", { class: "count" }, human()));
  const order = [...night.domains].sort((a, b) => (b === "stage_event") - (a === "stage_event"));
  order.forEach((domain) => {
    const text = night.captions[current][night.domains.indexOf(domain)];
    if (text) parts.push(made("h3", {}, TITLES[domain] ?? domain), made("p", {}, text));
  });
  if (found.length) {
    const rows = found.map((event) => made("li", {}, made("button", {
      type: "button", onclick: () => choose(event),
    }, `${clock(event.onset)} ${labelOf(event)}`)));
    parts.push(made("h3", {}, "Events"), made("ol", { class: "list" }, ...rows));
  }
  byId("panel-captions").replaceChildren(...parts);
}

const TITLES = { stage_event: "Stage and events", brain: "Brain and eyes", cardiac: "Heart and oxygen", respiration: "Breathing", somatic: "Muscle and position" };

/** What the scoring and the model said of this epoch, where both have spoken or a correction stands. */
function human() {
  const [was, now] = [night.stages[current], stages[current]];
  const told = [];
  if (was !== now) told.push(`Corrected from ${NAMES[was]} to ${NAMES[now]}; the caption below is of the stage as it was read.`);
  const here = (list) => JSON.stringify(list.filter((event) => overlaps(event, current)));
  if (here(events) !== here(readEvents())) told.push("Events were corrected; the caption below has them as they were read.");
  if (night.source === "scoring" && night.model && night.model[current] !== was) {
    told.push(`Scored ${NAMES[was]}, the model says ${NAMES[night.model[current]]}.`);
  }
  return told.length ? told.join(" ") : null;
}

function redrawOverview() {
  const { line, rem } = hypnogramPaths(stages, 8, 4);
  const box = { viewBox: `0 0 ${total()} 40`, preserveAspectRatio: "none" };
  const drawing = drawn("svg", box);
  drawing.append(
    drawn("path", { d: line, class: "line hypnogram", "vector-effect": "non-scaling-stroke" }),
    drawn("path", { d: rem, class: "bars R" }),
    ...stages.flatMap((letter, k) => letter === night.stages[k] ? [] :
      [drawn("rect", { x: k * night.seconds, y: 37, width: Math.max(night.seconds, total() / 400), height: 3, class: "changed" })]),
    drawn("rect", { class: "here", x: current * night.seconds, y: 0, width: Math.max(night.seconds, total() / 500), height: 40 }),
  );
  byId("overview").replaceChildren(drawing);
}

function bindEpoch() {
  byId("previous").addEventListener("click", () => showEpoch(current - 1));
  byId("next").addEventListener("click", () => showEpoch(current + 1));
  byId("overview").addEventListener("click", (event) => {
    const box = byId("overview").getBoundingClientRect();
    showEpoch(Math.floor(((event.clientX - box.left) / box.width) * night.epochs));
  });
  byId("go").addEventListener("change", (event) => {
    const typed = /^\s*(\d{1,2}):(\d{2})(?::(\d{2}))?\s*$/.exec(event.target.value);
    const seconds = typed ? typed[1] * 3600 + typed[2] * 60 + Number(typed[3] ?? 0) - (night.start ?? 0) : NaN;
    const day = night.start === null ? seconds : ((seconds % 86400) + 86400) % 86400;
    const epoch = typed ? Math.floor(day / night.seconds) : parseInt(event.target.value, 10);
    if (Number.isFinite(epoch)) showEpoch(epoch);
    event.target.value = "";
    event.target.blur();
  });
  for (const tab of TABS) byId(`tab-${tab}`).addEventListener("click", () => showTab(tab));
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.stopPropagation();
    const name = TABS[(TABS.indexOf(shownTab()) + step + TABS.length) % TABS.length];
    showTab(name);
    byId(`tab-${name}`).focus();
  });
}
