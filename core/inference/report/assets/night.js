// The night as the page carries it, and the small things that every part needs.
const byId = (id) => document.getElementById(id);
const LETTERS = ["W", "1", "2", "3", "R"]; // in the order of the probabilities
const NAMES = { W: "W", 1: "N1", 2: "N2", 3: "N3", R: "R", "?": "?" };
const LEVELS = ["W", "R", "1", "2", "3"]; // from the top of a hypnogram

async function inflated(id) {
  const text = atob(byId(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function made(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") node.addEventListener("click", value);
    else if (value !== null) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function drawn(name, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function clock(seconds, withSeconds = true) {
  let whole = Math.floor(seconds + (night.start ?? 0));
  if (night.start !== null) whole = ((whole % 86400) + 86400) % 86400;
  const two = (value) => String(value).padStart(2, "0");
  const text = `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}`;
  return withSeconds ? `${text}:${two(whole % 60)}` : text;
}

const say = (text) => { byId("live").textContent = text; };
const percent = (value) => `${Math.round(100 * value)} %`;

let night = null; // what the page carries; stages and events in it stay as they were read
let stages = []; // as they stand now
let events = []; // {type, onset, duration, confidence}
let current = 0; // the epoch that is shown

/** The model's probability of a stage in an epoch; NaN where it gave none. */
function probability(epoch, letter) {
  const column = LETTERS.indexOf(letter);
  if (!night.probabilities || column < 0) return NaN;
  const row = night.probabilities.slice(5 * epoch, 5 * epoch + 5);
  return row.some((value) => value > 0) ? row[column] / 1000 : NaN;
}

const overlaps = (event, epoch) =>
  event.onset < (epoch + 1) * night.seconds && event.onset + event.duration > epoch * night.seconds;
const eventsIn = (epoch) => events.filter((event) => overlaps(event, epoch));
