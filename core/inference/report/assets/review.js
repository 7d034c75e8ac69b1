// The review: what is doubtful first, one key an epoch, the next doubtful epoch after it.
let queue = []; // doubtful epochs in the order of the review
let stretches = new Map(); // epoch to the stretch of doubtful epochs that it belongs to
let doubtful = new Map(); // epoch to how sure its stage is

/** How sure the stage of an epoch is: the model's probability of it, as it was read; NaN where nobody can say. */
const sureness = (epoch) => probability(epoch, night.stages[epoch]);

/** Doubtful epochs form stretches, which keep their order in time; the stretch with the least sure epoch comes first. */
function fillQueue() {
  const limit = Number(byId("threshold").value);
  doubtful = new Map();
  for (let epoch = 0; epoch < night.epochs; epoch++) {
    const sure = sureness(epoch);
    if (sure < limit) doubtful.set(epoch, sure);
  }
  const groups = [];
  for (const epoch of doubtful.keys()) {
    const last = groups[groups.length - 1];
    if (last && epoch - last[last.length - 1] === 1) last.push(epoch);
    else groups.push([epoch]);
  }
  const least = (group) => Math.min(...group.map((epoch) => doubtful.get(epoch)));
  groups.sort((a, b) => least(a) - least(b));
  stretches = new Map(groups.flatMap((group) => group.map((epoch) => [epoch, group])));
  queue = groups.flat();
}

const left = () => queue.filter((epoch) => !reviewed.has(epoch));

/** The next epoch to decide: the next one of the queue that is open, from here on and then from the start. */
function nextDoubtful() {
  const place = queue.indexOf(current);
  return [...queue.slice(place + 1), ...queue.slice(0, Math.max(0, place))].find((epoch) => !reviewed.has(epoch));
}

/** A stage by a click or a key, null to keep it; `whole`: for the rest of the stretch. */
function decide(letter, whole) {
  const stretch = stretches.get(current);
  const epochs = whole && stretch ? stretch.filter((epoch) => epoch >= current && !reviewed.has(epoch)) : [current];
  setStages(epochs.includes(current) ? epochs : [current, ...epochs], letter);
  const next = stretch ? nextDoubtful() : current + 1;
  const told = `${letter === null ? "Kept" : NAMES[letter]}${epochs.length > 1 ? ` for ${epochs.length} epochs` : ""}. `;
  const rest = left().length;
  say(told + (rest ? `${rest} left.` : "Nothing doubtful is left; S saves the scoring."));
  showEpoch(next === undefined ? current : next);
  drawCount();
}

function redrawReview() {
  const height = byId("queue").scrollTop;
  byId("queue").replaceChildren(...queue.map((epoch) => row(epoch, made("i", {}, percent(doubtful.get(epoch))))));
  byId("queue").scrollTop = height;
  const shaky = events.filter((event) => event.confidence !== null).sort((a, b) => a.confidence - b.confidence);
  byId("events-title").hidden = byId("event-queue").hidden = !shaky.length;
  byId("event-queue").replaceChildren(...shaky.map((event) => {
    const epoch = Math.floor(event.onset / night.seconds);
    const open = () => { showEpoch(epoch); choose(event); };
    return made("li", { "data-epoch": epoch }, made("button", { type: "button", onclick: open },
      made("b", {}, clock(event.onset)), ` ${labelOf(event)}`));
  }));
  markQueue();
  drawCount();
}

function drawCount() {
  const rest = left().length;
  const altered = stages.filter((letter, k) => letter !== night.stages[k]).length;
  byId("threshold-value").textContent = Number(byId("threshold").value).toFixed(2);
  const unsure = night.probabilities ? `${queue.length} doubtful epochs, ${rest} left` : "No model has staged this night, so nothing tells which epochs are doubtful";
  const open = scoringText() === savedText ? "" : ", not saved yet";
  byId("review-count").textContent = `${unsure}; ${altered} changed${open}.`;
}

function markQueue() {
  if (byId("panel-review").hidden) return;
  for (const item of byId("queue").children) {
    const epoch = Number(item.dataset.epoch);
    item.classList.toggle("done", reviewed.has(epoch));
    item.classList.toggle("here", epoch === current);
    item.querySelector(".stage").textContent = NAMES[stages[epoch]];
    if (epoch === current) {
      item.setAttribute("aria-current", "true");
      const list = byId("queue");
      const [top, bottom] = [item.offsetTop - list.offsetTop, item.offsetTop - list.offsetTop + item.offsetHeight];
      if (top < list.scrollTop || bottom > list.scrollTop + list.clientHeight) list.scrollTop = top - list.clientHeight / 3;
    } else item.removeAttribute("aria-current");
  }
}

function stepInQueue(step) {
  const place = queue.indexOf(current);
  const next = queue[place < 0 ? 0 : place + step];
  if (next !== undefined) showEpoch(next);
}

function openReview() {
  showTab("review");
  const first = queue.includes(current) ? current : left()[0];
  if (first !== undefined) showEpoch(first, true);
}

const STAGE_KEYS = { KeyW: "W", Digit0: "W", Digit1: "1", Digit2: "2", Digit3: "3", KeyR: "R", Digit5: "R", Numpad0: "W", Numpad1: "1", Numpad2: "2", Numpad3: "3", Numpad5: "R" };

function reviewKey(event) {
  const named = { w: "W", r: "R" }[event.key.toLowerCase()]; // by its letter: keyboards differ
  const letter = named ?? (event.code.startsWith("Key") ? undefined : STAGE_KEYS[event.code]);
  if (letter) return decide(letter, event.shiftKey), true;
  const actions = {
    Enter: () => decide(null, event.shiftKey), ArrowDown: () => stepInQueue(1), ArrowUp: () => stepInQueue(-1),
    u: undo, U: undo, s: save, S: save, e: () => chooseNext(1), E: () => chooseNext(-1), n: newEvent, N: newEvent,
    x: removeEvent, X: removeEvent, Delete: removeEvent, t: () => retypeEvent(1), T: () => retypeEvent(-1),
    "[": () => moveEvent(-0.5, 0), "]": () => moveEvent(0.5, 0), "{": () => moveEvent(0, -0.5), "}": () => moveEvent(0, 0.5),
  };
  const action = actions[event.key];
  if (action) action();
  return Boolean(action);
}

function bindReview() {
  byId("threshold").addEventListener("input", () => { fillQueue(); redrawReview(); });
  byId("tab-review").addEventListener("click", openReview);
  byId("undo").addEventListener("click", undo);
  byId("save").addEventListener("click", save);
  byId("event-type").append(...night.types.map((type, k) => made("option", { value: type }, night.labels[k])));
  byId("event-type").addEventListener("change", (event) => {
    const type = event.target.value;
    event.target.blur();
    alterEvent((altered) => { altered.type = type; });
  });
  byId("event-remove").addEventListener("click", removeEvent);
  for (const button of document.querySelectorAll("[data-move]")) {
    const [start, end] = button.dataset.move.split(" ").map(Number);
    button.addEventListener("click", () => moveEvent(start, end));
  }
  window.addEventListener("beforeunload", (event) => {
    if (!keeps && scoringText() !== savedText) event.preventDefault();
  });
  byId("discard").addEventListener("click", () => {
    remember();
    startOver();
    byId("screen-note").textContent = "";
    changed();
    showEpoch(current);
    redrawReview();
  });
}
