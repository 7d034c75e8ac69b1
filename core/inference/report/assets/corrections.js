// Corrections of stages and events: made, undone, kept for the next visit, saved as a scoring.
let undone = []; // what brings back the state before each step
let reviewed = new Set(); // epochs that were looked at and decided
let chosenEvent = null;
let removed = {}; // {epoch, onset} of the event that was removed last: the next one is looked for behind it
let savedText = ""; // the scoring as it was read or last saved
let keeps = true; // whether this browser keeps corrections for the next visit
const LEAST = { arousal: 3, limb_movement: 0.5 }; // seconds; others 10 (AASM manual)
const GUESS = { AF: "hypopnea", THX: "hypopnea", ABD: "hypopnea", SPO2: "desaturation", EMG_CHIN: "limb_movement" };
const tenth = (value) => Math.round(10 * value) / 10;

function remember() {
  undone.push({ stages: stages.join(""), events: events.map((event) => ({ ...event })), reviewed: [...reviewed], current });
  if (undone.length > 500) undone.shift();
}

function undo() {
  const before = undone.pop();
  if (!before) return say("Nothing to undo.");
  stages = [...before.stages];
  events = before.events;
  reviewed = new Set(before.reviewed);
  changed();
  showEpoch(before.current);
  say("Undone.");
}

function setStages(epochs, letter) {
  remember();
  for (const epoch of epochs) {
    if (letter !== null) stages[epoch] = letter;
    reviewed.add(epoch);
  }
  changed();
}

function changed() {
  keep();
  redrawTracks();
}

function addEvent(span) {
  remember();
  const type = GUESS[span.channel] ?? "arousal";
  const event = { type, onset: tenth(current * night.seconds + span.from), duration: tenth(span.to - span.from), confidence: null };
  events.push(event);
  finishEvent(event, `${labelOf(event)} added.`);
}

function newEvent() {
  const length = LEAST.arousal;
  addEvent({ from: night.seconds / 2 - length / 2, to: night.seconds / 2 + length / 2, channel: "EEG" });
}

function finishEvent(event, told) {
  events.sort((a, b) => a.onset - b.onset);
  changed();
  chosenEvent = event;
  redrawEpoch();
  if (shownTab() === "review") redrawReview();
  say(told);
}

function removeEvent() {
  if (!chosenEvent) return say("No event is chosen; E chooses one.");
  remember();
  removed = { epoch: current, onset: chosenEvent.onset };
  events.splice(events.indexOf(chosenEvent), 1);
  finishEvent(null, "Event removed.");
}

function retypeEvent(step) {
  if (!chosenEvent) return say("No event is chosen; E chooses one.");
  const count = night.types.length;
  alterEvent((event) => { event.type = night.types[(night.types.indexOf(event.type) + step + count) % count]; });
}

function moveEvent(start, end) {
  if (!chosenEvent) return say("No event is chosen; E chooses one.");
  alterEvent((event) => {
    const from = Math.max(0, Math.min(event.onset + start, event.onset + event.duration - 0.5));
    const to = Math.min(total(), Math.max(event.onset + event.duration + end, from + 0.5));
    [event.onset, event.duration] = [tenth(from), tenth(to - from)];
  });
}

function alterEvent(alter) {
  const place = events.indexOf(chosenEvent);
  remember();
  const event = { ...chosenEvent, confidence: null };
  alter(event);
  events[place] = event;
  finishEvent(event, labelOf(event));
}

function choose(event) {
  chosenEvent = event;
  redrawEpoch();
}

/** The next event in time, or the one before: from the chosen one, or else from this epoch on. */
function chooseNext(step) {
  const from = removed.epoch === current ? removed.onset : -Infinity;
  const ahead = events.findIndex((event) => event.onset + event.duration > current * night.seconds && event.onset >= from);
  const after = ahead < 0 ? events.length : ahead;
  const event = events[chosenEvent ? events.indexOf(chosenEvent) + step : step > 0 ? after : after - 1];
  if (!event) return say(step > 0 ? "There is no event after this." : "There is no event before this.");
  if (!eventsIn(current).includes(event)) showEpoch(Math.floor(event.onset / night.seconds));
  choose(event);
  say(labelOf(event));
}

function chooseAt(time) {
  choose(eventsIn(current).find((event) => event.onset <= time && event.onset + event.duration >= time) ?? null);
}

/** What can be done with the chosen event, for those who have no keyboard. */
function drawEventTools() {
  byId("event-tools").hidden = chosenEvent === null;
  byId("signals-hint").hidden = chosenEvent !== null;
  if (chosenEvent) byId("event-type").value = chosenEvent.type;
}

const storeName = () => `sleepcli review ${night.key}`;

function keep() {
  const untouched = stages.join("") === night.stages && !reviewed.size && sameEvents();
  try {
    if (untouched) localStorage.removeItem(storeName());
    else localStorage.setItem(storeName(), JSON.stringify({ stages: stages.join(""), events, reviewed: [...reviewed] }));
    keeps = true;
  } catch {
    keeps = false;
    byId("screen-note").textContent = "This browser keeps nothing for this page: save the scoring before you close it.";
  }
}

const readEvents = () => night.events.map(([type, onset, duration, confidence]) =>
  ({ type: night.types[type], onset, duration, confidence }));
const sameEvents = () => JSON.stringify(events) === JSON.stringify(readEvents());

function startOver() {
  stages = [...night.stages];
  events = readEvents();
  reviewed = new Set();
}

function recall() {
  startOver();
  savedText = scoringText();
  try {
    const kept = JSON.parse(localStorage.getItem(storeName()) ?? "null");
    if (!kept || kept.stages.length !== night.epochs) return;
    stages = [...kept.stages];
    events = kept.events;
    reviewed = new Set(kept.reviewed);
    byId("screen-note").textContent = "Corrections of an earlier visit are back; Discard all removes them.";
  } catch {
    startOver();
  }
}

/** The scoring as `--scoring` reads it: stages, events, lights, and nothing about who changed what. */
function scoringText() {
  const rows = events.map(({ type, onset, duration }) => ({ type, onset, duration }));
  const [off, on] = night.lights;
  return `${JSON.stringify({
    epoch_seconds: night.seconds, stages: stages.map((letter) => NAMES[letter]), events: rows, lights_off: off, lights_on: on,
  }, null, 1)}\n`;
}

function save() {
  const link = made("a", {
    href: URL.createObjectURL(new Blob([scoringText()], { type: "application/json" })), download: `${night.study}.scoring.json`,
  });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  savedText = scoringText();
  drawCount();
  say("The scoring is saved; put it beside the study, or give it with --scoring.");
}
