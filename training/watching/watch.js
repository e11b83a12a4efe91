"use strict";
// The page asks for what is new, keeps all lines of metrics, and draws them. Nothing that the server
// sends is ever read as HTML.

const POLL_MS = 1000, SMOOTH_EPISODES = 20, RATE_WINDOW_S = 10, MOST_POINTS = 400;
const GOOD = "var(--good)", BASE = "var(--base)", GOLD = "var(--gold)", SOFT = "var(--soft)";

// Series: of = metric; mean = running mean over so many lines; dots = a marker at each value.
const CHARTS = [
  { title: "Success", wide: true, unit: "%", low: 0, high: 1, series: [
    { label: "exploring, last 20 episodes", of: "train/success_rate_20", colour: GOLD },
    { label: "evaluation", of: "eval/success_rate", colour: GOOD, dots: true, interval: "eval/episodes" } ] },
  { title: "Return", series: [
    { label: "exploring, mean of 20", of: "train/return", colour: GOLD, mean: SMOOTH_EPISODES },
    { label: "evaluation", of: "eval/return", colour: GOOD, dots: true } ] },
  { title: "Episode length", note: "environment steps", low: 0, series: [
    { label: "exploring, mean of 20", of: "train/length_steps", colour: GOLD, mean: SMOOTH_EPISODES },
    { label: "evaluation", of: "eval/length_steps", colour: GOOD, dots: true } ] },
  { title: "Q values", series: [
    { label: "target", of: "loss/target_value", colour: GOLD },
    { label: "mean over the batch", of: "loss/value", colour: GOOD } ] },
  { title: "Critic loss", low: 0, series: [{ label: "loss", of: "loss/critic_loss", colour: GOOD }] },
  { title: "Actor loss", series: [{ label: "loss", of: "loss/actor_loss", colour: GOOD }] },
  { title: "Cloning loss", series: [{ label: "loss", of: "loss/cloning_loss", colour: GOOD }] },
  { title: "Entropy", note: "nat", series: [
    { label: "of the policy, estimated", of: "loss/entropy", colour: GOOD }] },
  { title: "Temperature", low: 0, series: [
    { label: "weight of the entropy", of: "loss/temperature", colour: BASE }] },
  { title: "Replay", note: "transitions", low: 0, stacked: true, series: [
    { label: "demos", of: "replay/demos", colour: GOLD },
    { label: "online", of: "replay/online", colour: GOOD } ] },
  { title: "Human interventions", unit: "%", low: 0, high: 1, series: [
    { label: "share of steps, mean of 20 episodes", of: "train/intervened_share", colour: BASE,
      mean: SMOOTH_EPISODES } ] },
  { title: "Age of the acting policy", note: "s", low: 0, series: [
    { label: "age", of: "policy/age_s", colour: GOOD, mean: SMOOTH_EPISODES } ] },
  { title: "Lag of the acting policy", note: "updates", low: 0, series: [
    { label: "behind the learner", of: "policy/lag_updates", colour: GOOD, mean: SMOOTH_EPISODES } ] },
  { title: "Learning", note: "minibatches per s", low: 0, series: [
    { label: "critic updates per s", of: "learner/critic_updates_per_s", colour: GOOD } ] },
  { title: "Acting", note: "environment steps per s", low: 0, series: [
    { label: "steps per s, evaluations included", of: "steps_per_s", colour: GOOD } ] },
];
const NOT_CHARTED = new Set(["wall_s", "env_steps", "updates", "learner/updates",
  "learner/critic_updates", "train/episodes", "train/success", "eval/episodes", "eval/policy_updates"]);
const NAMED = new Set(CHARTS.flatMap(chart => chart.series.map(series => series.of)));

const known = { run: "", offsets: {}, lines: {}, state: null };
const axis = { key: "", hover: null };
const drawn = new Map();

const at = id => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function shape(tag, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

// Numbers as text ---------------------------------------------------------------------------------

const whole = number => Math.round(number).toLocaleString("en-US");
const percent = share => `${(100 * share).toFixed(0)}\u00a0%`;

function short(number) {
  const size = Math.abs(number);
  if (size >= 1e6) return `${+(number / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(number / 1e3).toPrecision(3)}k`;
  if (size >= 1e3) return whole(number);
  if (size !== 0 && size < 1e-3) return number.toExponential(1);
  return String(+number.toPrecision(3)).replace("-", "\u2212");
}

function duration(seconds) {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// Wilson's 95 % interval of a share of n.
function wilson(share, n) {
  const z = 1.96, centre = share + z * z / (2 * n);
  const reach = z * Math.sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return [centre - reach, centre + reach].map(bound => bound / (1 + z * z / n));
}

// From lines to points ----------------------------------------------------------------------------

function learnerLines() { return known.lines.learner || []; }

function actorLines() {
  const actors = Object.keys(known.lines).filter(name => name !== "learner");
  const lines = actors.flatMap(name => known.lines[name]);
  return actors.length > 1 ? lines.sort((a, b) => a.wall_s - b.wall_s) : lines;
}

// Gives each actor's line the updates of the learner at that time, and the rate of acting.
function complete() {
  const learner = learnerLines(), actor = actorLines();
  for (const line of learner) line.updates = line["learner/updates"];
  let behind = 0, next = 0;
  actor.forEach((line, index) => {
    while (next < learner.length && learner[next].wall_s <= line.wall_s) next += 1;
    line.updates = line["eval/policy_updates"] ?? (next ? learner[next - 1].updates : 0);
    while (actor[behind].wall_s < line.wall_s - RATE_WINDOW_S && behind < index - 1) behind += 1;
    const seconds = line.wall_s - actor[behind].wall_s, steps = line.env_steps - actor[behind].env_steps;
    if (seconds > 0.5 && steps >= 0) line.steps_per_s = steps / seconds;
  });
  return [...learner, ...actor];
}

function points(lines, series) {
  const found = lines.filter(line => Number.isFinite(line[series.of]));
  // Updates before the first environment step have no place on an axis of steps.
  const used = axis.key === "env_steps" ? found.filter(line => line.env_steps > 0 || "eval/episodes" in line) : found;
  const values = used.map(line => line[series.of]);
  if (series.mean) smooth(values, series.mean);
  return used.map((line, i) => ({ x: line[axis.key], y: values[i], n: line[series.interval] }));
}

function smooth(values, window) {
  const sums = [0];
  for (const value of values) sums.push(sums.at(-1) + value);
  values.forEach((_, i) => {
    const from = Math.max(0, i + 1 - window);
    values[i] = (sums[i + 1] - sums[from]) / (i + 1 - from);
  });
}

// The mean of neighbours where there are more points than a screen can show.
function thin(all) {
  if (all.length <= MOST_POINTS) return all;
  const size = Math.ceil(all.length / MOST_POINTS), few = [];
  for (let i = 0; i < all.length; i += size) {
    const some = all.slice(i, i + size), mean = key => some.reduce((sum, p) => sum + p[key], 0) / some.length;
    few.push({ x: mean("x"), y: mean("y"), n: some[0].n });
  }
  few.push(all.at(-1));
  return few;
}

// Charts ------------------------------------------------------------------------------------------

function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(k * step);
  return found;
}

function timeTicks(high) {
  const step = [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400].find(s => high / s <= 6) || high / 5;
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, k) => k * step);
}

function axisText(x) {
  if (axis.key !== "wall_s") return short(x);
  return x < 60 ? `${Math.round(x)} s` : x < 7200 ? `${+(x / 60).toFixed(1)} min` : `${+(x / 3600).toFixed(1)} h`;
}

function card(chart, place) {
  const found = drawn.get(chart.title);
  if (found) return found;
  const legend = element("div", { className: "legend" });
  const svg = shape("svg", { role: "img" });
  const title = element("h3", {}, chart.title);
  if (chart.note) title.append(" ", element("small", {}, chart.note));
  const box = element("div", { className: chart.wide ? "chart wide" : "chart" }, title, legend, svg);
  box.dataset.chart = chart.title;
  const made = { box, legend, svg, scale: null };
  svg.addEventListener("pointermove", event => {
    const left = svg.getBoundingClientRect().left;
    axis.hover = made.scale ? made.scale(event.clientX - left) : null;
    schedule();
  });
  svg.addEventListener("pointerleave", () => { axis.hover = null; schedule(); });
  at(place).append(box);
  drawn.set(chart.title, made);
  return made;
}

function draw(chart, lines, place = "charts") {
  let curves = chart.series.map(series => ({ series, points: points(lines, series) }));
  curves = curves.filter(curve => curve.points.length);
  if (!curves.length && !drawn.has(chart.title)) return;
  const { box, legend, svg } = card(chart, place);
  box.hidden = !curves.length;
  if (box.hidden || !box.clientWidth) return;
  if (chart.stacked) stack(curves);

  const width = box.clientWidth - 32, height = chart.wide ? 240 : 170;
  const area = { left: 46, right: width - 10, top: 10, bottom: height - 22 };
  const xHigh = Math.max(...lines.map(line => line[axis.key] || 0), 1e-9);
  const ys = curves.flatMap(curve => curve.points.map(point => point.y));
  let low = chart.low ?? smallest(ys), high = chart.high ?? largest(ys);
  if (high - low < 1e-9 + 1e-6 * Math.abs(high)) { high += Math.abs(high) * 0.1 + 1e-3; low -= chart.low === undefined ? Math.abs(low) * 0.1 + 1e-3 : 0; }
  if (chart.high === undefined) high += 0.06 * (high - low);
  const X = x => area.left + (area.right - area.left) * x / xHigh;
  const Y = y => area.bottom - (area.bottom - area.top) * (y - low) / (high - low);
  drawn.get(chart.title).scale = pixel => Math.min(xHigh, Math.max(0, (pixel - area.left) / (area.right - area.left) * xHigh));

  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label", `${chart.title} against ${axis.key.replace("_", " ")}`);
  svg.replaceChildren(...frame(chart, area, low, high, xHigh, X, Y));
  for (const curve of curves) svg.append(...line(curve, chart.stacked, X, Y));
  if (axis.hover !== null) svg.append(shape("line", { class: "cursor", x1: X(axis.hover), x2: X(axis.hover), y1: area.top, y2: area.bottom }));
  legend.replaceChildren(...curves.map(curve => entry(chart, curve)));
}

function smallest(values) { return values.reduce((a, b) => Math.min(a, b), Infinity); }
function largest(values) { return values.reduce((a, b) => Math.max(a, b), -Infinity); }

// Puts each curve on top of the one before; both tables are measured by the same lines.
function stack(curves) {
  curves.slice(1).forEach((curve, i) => {
    curve.points = curve.points.map((point, k) => {
      const floor = curves[i].points[k]?.y ?? 0;
      return { ...point, y: point.y + floor, floor };
    });
  });
}

function frame(chart, area, low, high, xHigh, X, Y) {
  const parts = [];
  for (const y of ticks(low, high, chart.wide ? 5 : 4)) {
    parts.push(shape("line", { class: "rule", x1: area.left, x2: area.right, y1: Y(y), y2: Y(y) }));
    parts.push(shape("text", { x: area.left - 7, y: Y(y) + 4, "text-anchor": "end" }, chart.unit === "%" ? percent(y) : short(y)));
  }
  const marks = axis.key === "wall_s" ? timeTicks(xHigh) : ticks(0, xHigh, 5);
  for (const x of marks) {
    const anchor = X(x) > area.right - 14 ? "end" : "middle";
    parts.push(shape("text", { x: X(x), y: area.bottom + 17, "text-anchor": anchor }, axisText(x)));
  }
  return parts;
}

function line(curve, stacked, X, Y) {
  const few = thin(curve.points), colour = curve.series.colour, parts = [];
  const path = few.map((p, i) => `${i ? "L" : "M"}${X(p.x).toFixed(1)} ${Y(p.y).toFixed(1)}`).join("");
  const band = (upper, lower, opacity) => {
    const there = few.map((p, i) => `${i ? "L" : "M"}${X(p.x).toFixed(1)} ${Y(upper(p)).toFixed(1)}`).join("");
    const back = [...few].reverse().map(p => `L${X(p.x).toFixed(1)} ${Y(lower(p)).toFixed(1)}`).join("");
    parts.push(shape("path", { d: `${there}${back}Z`, fill: colour, "fill-opacity": opacity }));
  };
  if (stacked) band(p => p.y, p => p.floor ?? 0, 0.85);
  if (curve.series.interval) band(p => wilson(p.y, p.n)[1], p => wilson(p.y, p.n)[0], 0.13);
  parts.push(shape("path", { d: path, fill: "none", stroke: colour, "stroke-width": 2, "stroke-linejoin": "round" }));
  const isSparse = few.length <= 60 && (curve.series.dots || few.length === 1);
  if (isSparse) parts.push(...few.map(p => shape("circle", { cx: X(p.x), cy: Y(p.y), r: 3, fill: colour })));
  return parts;
}

function entry(chart, curve) {
  const all = curve.points;
  let point = all.at(-1);
  if (axis.hover !== null) for (const p of all) if (Math.abs(p.x - axis.hover) < Math.abs(point.x - axis.hover)) point = p;
  const value = point.y - (point.floor ?? 0);
  const swatch = element("i");
  swatch.style.background = curve.series.colour;
  const text = chart.unit === "%" ? percent(value) : short(value);
  const where = axis.hover !== null ? ` at ${axisText(point.x)}` : "";
  return element("span", {}, swatch, `${curve.series.label} `, element("b", {}, text), where);
}

// The rest of the page ----------------------------------------------------------------------------

function newest() {
  const values = {};
  for (const line of [...learnerLines(), ...actorLines()]) {
    for (const [name, value] of Object.entries(line)) {
      const counts = name === "wall_s" || name === "env_steps";
      values[name] = counts ? Math.max(value, values[name] ?? 0) : value;
    }
  }
  return values;
}

function interval(low, high) { return `${(100 * low).toFixed(0)} to ${percent(high)}`; }

function tile(value, label, kind = "") {
  return element("div", { className: `tile ${kind}` }, element("b", {}, value), element("span", {}, label));
}

function showTiles(values, state) {
  const tiles = [], evaluation = state.evaluation;
  if ("eval/success_rate" in values) {
    const [low, high] = wilson(values["eval/success_rate"], values["eval/episodes"]);
    tiles.push(tile(percent(values["eval/success_rate"]),
      `success in the last evaluation of ${values["eval/episodes"]} (95 %: ${interval(low, high)})`, "good"));
  }
  if (evaluation) {
    const [low, high] = evaluation.success_interval;
    tiles.push(tile(percent(evaluation.success_rate),
      `success by serlds eval of ${evaluation.episodes} (95 %: ${interval(low, high)})`, "good"));
  }
  if ("train/success_rate_20" in values) tiles.push(tile(percent(values["train/success_rate_20"]), "success of the last 20 episodes, exploring"));
  if (state.env_steps) tiles.push(tile(whole(values.env_steps ?? 0), `of ${whole(state.env_steps)} environment steps`));
  tiles.push(tile(whole(values["learner/updates"] ?? 0), `of ${whole(state.updates)} updates`));
  if (state.status === "training") {
    tiles.push(tile(`${short(values["learner/critic_updates_per_s"] ?? 0)}/s`, "minibatches learned from"));
    if (state.env_steps) tiles.push(tile(`${short(values.steps_per_s ?? 0)}/s`, "environment steps"));
  }
  if ("policy/age_s" in values) tiles.push(tile(`${short(values["policy/age_s"])} s`, `age of the acting policy, ${whole(values["policy/lag_updates"] ?? 0)} updates behind`));
  if ("train/intervened_share" in values) tiles.push(tile(percent(values["train/intervened_share"]), "of the last episode driven by a human", "base"));
  const left = state.status === "training" && state.eta_s !== null ? `of training, about ${duration(state.eta_s)} left` : "of training";
  tiles.push(tile(duration(values.wall_s ?? 0), left));
  at("tiles").replaceChildren(...tiles);
  at("tiles").classList.toggle("many", tiles.length > 6);
  const share = state.env_steps ? (values.env_steps ?? 0) / state.env_steps : (values["learner/updates"] ?? 0) / state.updates;
  at("done").style.width = `${100 * Math.min(1, share || 0)}%`;
}

const STATUS = { training: "good", starting: "good", finished: "", stopped: "base" };

function showState(state) {
  at("status").textContent = state.status;
  at("status").className = `badge ${STATUS[state.status]}`;
  at("directory").textContent = state.status === "stopped"
    ? `${state.directory}: go on with serlds train --resume` : state.directory;
  at("facts").replaceChildren(...state.facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  showVideos(state);
  for (const button of at("axis").children) {
    button.hidden = button.dataset.axis === "env_steps" && !state.env_steps;
    button.setAttribute("aria-pressed", button.dataset.axis === axis.key);
  }
}

// Only what has changed is made anew, so that a playing video goes on.
let shownVideos = "";
function showVideos(state) {
  const groups = [];
  if (state.episode) groups.push(["The last online episode", "As the policy saw it, exploring.", [[`/episode.mp4?${state.episode}`, "the newest episode"]]]);
  if (state.filmed) {
    groups.push(["The newest evaluation with videos", state.filmed.name,
      state.filmed.videos.map(([name, caption]) => [`/evals/${encodeURIComponent(name)}?${state.filmed.changed}`, caption])]);
  }
  if (JSON.stringify(groups) === shownVideos) return;
  shownVideos = JSON.stringify(groups);
  at("videos").replaceChildren(...groups.flatMap(([title, text, videos]) => [
    element("h2", {}, title), element("p", {}, text),
    element("section", { className: "videos" }, ...videos.map(([source, caption]) => element("figure", {},
      element("video", { src: source, ariaLabel: caption, autoplay: true, loop: true, muted: true, playsInline: true, controls: true }),
      element("figcaption", {}, caption)))),
  ]));
}

function otherCharts(lines) {
  const names = new Set(lines.flatMap(line => Object.keys(line)));
  return [...names].filter(name => !NAMED.has(name) && !NOT_CHARTED.has(name)).sort()
    .map(name => ({ title: name, series: [{ label: "value", of: name, colour: SOFT }] }));
}

let isScheduled = false;
function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => { isScheduled = false; show(); });
}

function show() {
  const state = known.state;
  if (!state) return;
  axis.key ||= state.env_steps ? "env_steps" : "updates";
  const lines = complete(), others = otherCharts(lines);
  showTiles(newest(), state);
  for (const chart of CHARTS) draw(chart, lines);
  at("more").hidden = !others.length;
  if (at("more").open) for (const chart of others) draw(chart, lines, "others");
}

// Asking ------------------------------------------------------------------------------------------

async function ask(path) {
  const answer = await fetch(path);
  const values = await answer.json();
  if (!answer.ok) throw new Error(values.error);
  return values;
}

function take(news) {
  if (news.anew) {
    known.lines = {};
    axis.key = "";
    for (const { box } of drawn.values()) box.remove();
    drawn.clear();
  }
  let isNew = news.anew;
  for (const [process, lines] of Object.entries(news.lines)) {
    (known.lines[process] ??= []).push(...lines);
    isNew ||= lines.length > 0;
  }
  known.run = news.run;
  known.offsets = news.offsets;
  return isNew;
}

async function refresh() {
  const state = await ask("/state");
  let more = true, isNew = JSON.stringify(state) !== JSON.stringify(known.state);
  while (more) {
    const news = await ask(`/metrics?${new URLSearchParams({ ...known.offsets, run: known.run })}`);
    isNew = take(news) || isNew;
    more = news.more;
  }
  known.state = state;
  if (isNew) { show(); showState(state); }
  document.title = `${state.status}: ${document.querySelector("h1").textContent}`;
}

async function poll() {
  try {
    if (!document.hidden || !known.state) await refresh();
    at("trouble").hidden = true;
  } catch (error) {
    const gone = error instanceof TypeError;
    at("trouble").textContent = gone
      ? "serlds watch does not answer; this page shows what it knew last and goes on asking."
      : error.message;
    at("trouble").hidden = false;
  }
  setTimeout(poll, POLL_MS);
}

at("axis").addEventListener("click", event => {
  if (!event.target.dataset.axis) return;
  axis.key = event.target.dataset.axis;
  axis.hover = null;
  show();
  showState(known.state);
});
at("more").addEventListener("toggle", show);
document.addEventListener("visibilitychange", () => { if (!document.hidden) schedule(); });
new ResizeObserver(schedule).observe(document.querySelector("main"));
poll();
