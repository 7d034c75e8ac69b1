// The time axis that all tracks share: zoom, pan, the cursor, and marks over the tracks.
const view = { from: 0, to: 0 };
const total = () => night.epochs * night.seconds;
const SHORTEST = 300; // seconds

function setView(from, to) {
  const span = Math.min(total(), Math.max(Math.min(SHORTEST, total()), to - from));
  view.from = Math.max(0, Math.min(total() - span, from));
  view.to = view.from + span;
  for (const plot of document.querySelectorAll("#tracks svg.plot")) {
    const height = plot.viewBox.baseVal.height;
    plot.setAttribute("viewBox", `${view.from} 0 ${span} ${height}`);
  }
  drawAxis();
  placeCursor();
}

const zoom = (factor, at = (view.from + view.to) / 2) =>
  setView(at - (at - view.from) * factor, at + (view.to - at) * factor);
const pan = (share) => {
  const span = view.to - view.from;
  const from = Math.max(0, Math.min(total() - span, view.from + share * span));
  setView(from, from + span);
};

function drawAxis() {
  const axis = byId("axis");
  const span = view.to - view.from;
  const most = Math.max(3, axis.clientWidth / 70);
  const step = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].find((size) => span / size <= most) ?? 86400;
  const start = night.start ?? 0;
  const marks = [];
  for (let time = Math.ceil((view.from + start) / step) * step - start; time <= view.to; time += step) {
    const share = (time - view.from) / span;
    const x = `${100 * share}%`;
    const label = drawn("text", { x, y: 17, class: share > 0.99 ? "last" : "" });
    const midnight = total() > 86400 && (time + start) % 86400 === 0;
    label.textContent = midnight ? `day ${(time + start) / 86400 + 1}` : clock(time, false);
    marks.push(drawn("line", { x1: x, x2: x, y1: 0, y2: 5 }), label);
  }
  axis.replaceChildren(...marks);
}

function placeCursor() {
  const span = view.to - view.from;
  const onset = current * night.seconds;
  const cursor = byId("cursor");
  cursor.hidden = onset + night.seconds <= view.from || onset >= view.to;
  cursor.style.left = `${(100 * (onset - view.from)) / span}%`;
  cursor.style.width = `max(2px, ${(100 * night.seconds) / span}%)`;
}

/** Mark stretches of time over all tracks: [[onset, duration], ...]. */
function markTimes(times) {
  const least = total() / 600; // at least two pixels of a whole night
  const boxes = times.map(([onset, duration]) =>
    drawn("rect", { x: onset, y: 0, width: Math.max(duration, least), height: 1 }));
  byId("hits").replaceChildren(...boxes);
}

function timeAt(pointer) {
  const box = byId("axis").getBoundingClientRect();
  const share = Math.max(0, Math.min(1, (pointer.clientX - box.left) / box.width));
  return view.from + share * (view.to - view.from);
}

function bindTimeline() {
  const tracks = byId("tracks");
  bindMouse(tracks, byId("brush"));
  bindTouch(tracks);
  const actions = {
    in: () => zoom(0.5, inView(current) ? (current + 0.5) * night.seconds : undefined), out: () => zoom(2),
    back: () => pan(-0.5), on: () => pan(0.5), all: () => setView(0, total()),
  };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => actions[button.dataset.zoom]());
  }
  window.addEventListener("resize", drawAxis);
  let before = null;
  window.addEventListener("beforeprint", () => { before = { ...view }; setView(0, total()); });
  window.addEventListener("afterprint", () => before && setView(before.from, before.to));
}

/** A click shows an epoch, a drag zooms to what it spans, Ctrl and the wheel zoom, Shift and the wheel pan. */
function bindMouse(tracks, brush) {
  let begun = null;
  tracks.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType !== "touch") begun = { x: event.clientX, time: timeAt(event) };
  });
  tracks.addEventListener("pointermove", (event) => {
    if (!begun || Math.abs(event.clientX - begun.x) < 5) return;
    const box = byId("axis").getBoundingClientRect();
    const [left, right] = [begun.x, event.clientX].sort((a, b) => a - b);
    brush.style.left = `${left - box.left}px`;
    brush.style.width = `${right - left}px`;
    brush.classList.add("active");
  });
  window.addEventListener("pointerup", (event) => {
    if (begun && brush.classList.contains("active")) {
      const [from, to] = [begun.time, timeAt(event)].sort((a, b) => a - b);
      setView(from, to);
      brush.dataset.justUsed = "yes";
    }
    brush.classList.remove("active");
    begun = null;
  });
  tracks.addEventListener("click", (event) => {
    if (brush.dataset.justUsed) delete brush.dataset.justUsed;
    else if (event.target.closest(".row, .axis")) showEpoch(Math.floor(timeAt(event) / night.seconds), true);
  });
  tracks.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
    event.preventDefault();
    if (event.shiftKey) pan(Math.sign(event.deltaY || event.deltaX) / 10);
    else zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event));
  }, { passive: false });
}

/** A finger pans, two zoom: the times under them stay under them. Up and down, the page scrolls. */
function bindTouch(tracks) {
  const fingers = new Map(); // {clientX, time} by pointer
  const hold = () => { for (const finger of fingers.values()) finger.time = timeAt(finger); };
  tracks.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, { clientX: event.clientX });
    hold();
  });
  tracks.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.get(event.pointerId).clientX = event.clientX;
    const box = byId("axis").getBoundingClientRect();
    const [a, b] = fingers.values();
    const share = (finger) => (finger.clientX - box.left) / box.width;
    const apart = b ? share(b) - share(a) : 0;
    if (b && (Math.abs(apart) < 0.02 || (b.time - a.time) / apart <= 0)) return; // the fingers touch, or have crossed
    const span = b ? Math.min(total(), Math.max(SHORTEST, (b.time - a.time) / apart)) : view.to - view.from;
    const from = Math.max(0, Math.min(total() - span, a.time - share(a) * span));
    setView(from, from + span);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    tracks.addEventListener(end, (event) => { if (fingers.delete(event.pointerId)) hold(); });
  }
}

const inView = (epoch) => epoch * night.seconds >= view.from && (epoch + 1) * night.seconds <= view.to;

/** The line of a hypnogram and its thick REM, as two paths in seconds and points. */
function hypnogramPaths(letters, spacing, top) {
  let line = "";
  let rem = "";
  let pen = false;
  for (let first = 0; first < letters.length;) {
    let after = first;
    while (after < letters.length && letters[after] === letters[first]) after++;
    const row = LEVELS.indexOf(letters[first]);
    const [from, to] = [first * night.seconds, after * night.seconds];
    if (row < 0) pen = false;
    else {
      const y = top + spacing * row;
      line += `${pen ? "L" : "M"}${from} ${y}L${to} ${y}`;
      if (letters[first] === "R") rem += `M${from} ${y - 3}h${to - from}v6h${from - to}z`;
      pen = true;
    }
    first = after;
  }
  return { line, rem };
}

/** Draw stages and events as they stand now. */
function redrawTracks() {
  const plot = document.querySelector('svg.plot[data-track="stages"]');
  if (plot) {
    const { line, rem } = hypnogramPaths(stages, 24, 12);
    plot.querySelector("path.hypnogram").setAttribute("d", line);
    const thick = plot.querySelector("path.R") ?? plot.appendChild(drawn("path", { class: "bars R" }));
    thick.setAttribute("d", rem);
  }
  const lanes = document.querySelector('svg.plot[data-track="events"]');
  if (lanes) redrawEvents(lanes);
  redrawOverview();
}

function redrawEvents(lanes) {
  const kinds = night.types.filter((kind) => night.lanes.includes(kind));
  for (const path of lanes.querySelectorAll("path")) path.remove();
  for (const event of events) {
    const lane = kinds.indexOf(event.type);
    if (lane < 0) continue;
    const box = { x: event.onset, y: 14 * lane + 2, width: event.duration, height: 10, class: `bars ${event.type}` };
    lanes.append(drawn("rect", box));
  }
}
