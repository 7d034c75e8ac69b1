// The signals of an epoch: decoded from the page's data, drawn as a polysomnograph would.
const traces = []; // {name, unit, rate, step, offset, pairs, steps: Int8Array}
let gain = 1;
let dragged = null; // {from, to, channel}, seconds in the epoch
const GUTTER = 66; // pixels at the left, for names
const SHARES = { EEG_C3: 1.5, EEG_C4: 1.5, EOG_L: 1.1, EOG_R: 1.1, EMG_CHIN: 0.8, ECG: 0.9, SPO2: 0.7 };
const SPREAD = { EMG_CHIN: 3, ECG: 6 }; // standard deviations from the middle of a row to its edge; others 3.4
const NEEDS = {
  arousal: ["EEG_C3", "EEG_C4"], desaturation: ["SPO2"], limb_movement: ["EMG_CHIN"],
};
const BREATHING = ["AF", "THX", "ABD"];

async function readTraces() {
  await Promise.all(night.signals.map(async (about, number) => {
    const coded = await inflated(`data-signal-${number}`);
    const half = about.pairs ? coded.length / 2 : coded.length;
    for (let first = 0; first < coded.length; first += half) { // undo the differences, modulo 256
      for (let k = first + 1; k < first + half; k++) coded[k] = (coded[k] + coded[k - 1]) & 255;
    }
    traces[number] = { ...about, steps: new Int8Array(coded.buffer) };
  }));
}

/** Half the height of a row in the channel's unit: a round figure for the brain and the eyes. */
function halfRange(trace) {
  if (trace.channel === "SPO2") return 0;
  const range = (SPREAD[trace.channel] ?? 3.4) * trace.sd;
  if (trace.unit !== "µV" || trace.channel === "EMG_CHIN") return range;
  return [20, 30, 50, 75, 100, 150, 200, 300, 500].find((value) => value >= range * 0.9) ?? range;
}

function rowsOf(height) {
  const weights = traces.map((trace) => SHARES[trace.channel] ?? 1);
  const unit = height / weights.reduce((sum, weight) => sum + weight, 0);
  let top = 0;
  return traces.map((trace, k) => ({ trace, top, height: weights[k] * unit, end: (top += weights[k] * unit) }));
}

function drawSignals() {
  const canvas = byId("signals");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !traces.length) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  pen.font = "11px system-ui, sans-serif";
  drawGrid(pen, width, height, colour);
  const rows = rowsOf(height - 20);
  for (const event of eventsIn(current)) shadeEvent(pen, event, rows, width, colour);
  for (const row of rows) drawRow(pen, row, width, colour);
  if (dragged) {
    const x = (seconds) => GUTTER + (seconds / night.seconds) * (width - GUTTER);
    pen.fillStyle = colour("accent");
    pen.globalAlpha = 0.25;
    pen.fillRect(x(dragged.from), 0, x(dragged.to) - x(dragged.from), height - 20);
    pen.globalAlpha = 1;
  }
}

function drawGrid(pen, width, height, colour) {
  const scale = (width - GUTTER) / night.seconds;
  const sparse = scale < 14 ? 10 : 5;
  for (let second = 0; second <= night.seconds; second++) {
    const x = Math.round(GUTTER + second * scale) + 0.5;
    pen.strokeStyle = colour(second % 5 ? "faint" : "rule");
    pen.lineWidth = 1;
    if (second % 5 && scale < 14) continue;
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, height - 20);
    pen.stroke();
    if (second % sparse === 0) {
      pen.fillStyle = colour("muted");
      pen.textAlign = second === night.seconds ? "right" : second ? "center" : "left";
      pen.fillText(second ? `${second} s` : clock(current * night.seconds), second === night.seconds ? width : x, height - 5);
    }
  }
}

function drawRow(pen, { trace, top, height }, width, colour) {
  const middle = top + height / 2;
  const half = halfRange(trace) / gain;
  const state = stateOf(trace.channel);
  pen.textAlign = "left";
  pen.fillStyle = colour("ink");
  pen.fillText(trace.name, 4, middle + 1, GUTTER - 8);
  pen.fillStyle = colour("muted");
  if (half && trace.unit) pen.fillText(`±${half < 1 ? half.toFixed(1) : Math.round(half)} ${trace.unit}`, 4, middle + 14, GUTTER - 8);
  if (trace.channel.startsWith("EEG") && trace.unit === "µV") guides(pen, middle, (37.5 * height) / 2 / half, width, colour);
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, top - height * 0.35, width - GUTTER, height * 1.7);
  pen.clip();
  pen.strokeStyle = colour(state === "ok" || state === "mains" ? "ink" : "muted");
  pen.lineWidth = 1;
  pen.lineJoin = "round";
  pen.beginPath();
  if (trace.channel === "SPO2") oxygenPath(pen, trace, top, height, width, colour);
  else if (trace.pairs) pairsPath(pen, trace, middle, height / 2 / half, width);
  else wavePath(pen, trace, middle, height / 2 / half, width);
  pen.stroke();
  pen.restore();
  if (state !== "ok") {
    pen.fillStyle = colour("warn");
    pen.textAlign = "right";
    pen.fillText(state, width - 4, top + 12);
  }
}

/** 75 µV from line to line, the amplitude of a slow wave by the AASM manual. */
function guides(pen, middle, distance, width, colour) {
  pen.strokeStyle = colour("rule");
  pen.setLineDash([2, 4]);
  for (const y of [middle - distance, middle + distance]) {
    pen.beginPath();
    pen.moveTo(GUTTER, y);
    pen.lineTo(width, y);
    pen.stroke();
  }
  pen.setLineDash([]);
}

function wavePath(pen, trace, middle, scale, width) {
  const count = trace.rate * night.seconds;
  const first = current * count;
  const last = Math.min(trace.steps.length - 1, first + count);
  const across = (width - GUTTER) / count;
  const smooth = across > 3; // far fewer samples than pixels: a curve through them, not corners
  const at = (k) => middle - trace.steps[Math.max(0, Math.min(trace.steps.length - 1, k))] * trace.step * scale;
  pen.moveTo(GUTTER, at(first));
  for (let k = first + 1; k <= last; k++) {
    const x = GUTTER + (k - first) * across;
    if (!smooth) pen.lineTo(x, at(k));
    else { // Catmull and Rom's spline
      const [a, b, c, d] = [at(k - 2), at(k - 1), at(k), at(k + 1)];
      pen.bezierCurveTo(x - (2 * across) / 3, b + (c - a) / 6, x - across / 3, c - (d - b) / 6, x, c);
    }
  }
}

function pairsPath(pen, trace, middle, scale, width) {
  const half = trace.steps.length / 2;
  const count = trace.rate * night.seconds;
  const across = (width - GUTTER) / count;
  for (let k = 0; k < count; k++) {
    const low = middle - trace.steps[current * count + k] * trace.step * scale;
    const high = middle - trace.steps[half + current * count + k] * trace.step * scale;
    pen.lineTo(GUTTER + (k + 0.25) * across, low);
    pen.lineTo(GUTTER + (k + 0.75) * across, high);
  }
}

function oxygenPath(pen, trace, top, height, width, colour) {
  const values = Array.from({ length: night.seconds + 1 }, (_, k) => {
    const place = Math.min(trace.steps.length - 1, current * night.seconds + k);
    return trace.steps[place] * trace.step + trace.offset;
  });
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const middle = (low + high) / 2;
  const scale = (height * 0.7) / Math.max(8, high - low);
  values.forEach((value, k) => {
    pen.lineTo(GUTTER + (k * (width - GUTTER)) / night.seconds, top + height / 2 - (value - middle) * scale);
  });
  pen.fillStyle = colour("muted");
  pen.textAlign = "right";
  pen.fillText(low === high ? `${low} %` : `${low} to ${high} %`, width - 4, top + 12);
}

const stateOf = (channel) =>
  night.state_names[Number(night.states[current][night.channels.indexOf(channel)])] ?? "ok";

function shadeEvent(pen, event, rows, width, colour) {
  const needed = NEEDS[event.type] ?? BREATHING;
  const chosen = rows.filter((row) => needed.includes(row.trace.channel));
  const [first, last] = chosen.length ? [chosen[0], chosen[chosen.length - 1]] : [rows[0], rows[rows.length - 1]];
  const scale = (width - GUTTER) / night.seconds;
  const from = Math.max(GUTTER, GUTTER + (event.onset - current * night.seconds) * scale);
  const to = Math.min(width, GUTTER + (event.onset + event.duration - current * night.seconds) * scale);
  pen.fillStyle = colour(event.type);
  pen.globalAlpha = event === chosenEvent ? 0.4 : 0.2;
  pen.fillRect(from, first.top, to - from, last.end - first.top);
  pen.globalAlpha = 1;
  pen.fillRect(from, first.top, to - from, 2);
  if (event === chosenEvent) {
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 2;
    pen.strokeRect(from + 1, first.top + 1, to - from - 2, last.end - first.top - 2);
  }
  pen.textAlign = "left";
  pen.fillStyle = colour("ink");
  pen.fillText(labelOf(event), from + 4, first.top + 13, Math.max(40, width - from - 6));
}

function labelOf(event) {
  const sure = event.confidence === null ? "" : ` ${percent(event.confidence)}`;
  return `${night.labels[night.types.indexOf(event.type)]} ${event.duration.toFixed(0)} s${sure}`;
}

/** A click chooses an event, a drag makes one; a finger chooses one, or swipes to the next epoch. */
function bindSignals() {
  const canvas = byId("signals");
  let touched = null;
  const secondsAt = (pointer) => {
    const box = canvas.getBoundingClientRect();
    return Math.max(0, Math.min(night.seconds, ((pointer.clientX - box.left - GUTTER) / (box.width - GUTTER)) * night.seconds));
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") touched = { x: event.clientX, y: event.clientY };
    if (event.button !== 0 || event.pointerType === "touch") return;
    const y = event.clientY - canvas.getBoundingClientRect().top;
    const row = rowsOf(canvas.clientHeight - 20).find((place) => y < place.end);
    const at = secondsAt(event);
    dragged = { begun: at, from: at, to: at, channel: row ? row.trace.channel : "" };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    [dragged.from, dragged.to] = [dragged.begun, secondsAt(event)].sort((a, b) => a - b);
    drawSignals();
  });
  canvas.addEventListener("pointercancel", () => { touched = dragged = null; });
  canvas.addEventListener("pointerup", (event) => {
    if (touched) {
      const [across, down] = [event.clientX - touched.x, event.clientY - touched.y];
      touched = null;
      if (Math.abs(across) > Math.max(50, 2 * Math.abs(down))) showEpoch(current - Math.sign(across));
      else if (Math.hypot(across, down) < 10) chooseAt(current * night.seconds + secondsAt(event));
      return;
    }
    const span = dragged;
    dragged = null;
    if (span && span.to - span.from >= 0.5) addEvent(span);
    else if (span) chooseAt(current * night.seconds + span.from);
    drawSignals();
  });
  byId("softer").addEventListener("click", () => { gain = Math.max(0.25, gain / 1.5); drawSignals(); });
  byId("louder").addEventListener("click", () => { gain = Math.min(8, gain * 1.5); drawSignals(); });
  window.addEventListener("resize", drawSignals);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSignals);
}
