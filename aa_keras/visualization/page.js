"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const colors = bytes(data.colors);
const decoded = new Map();
const ANSWERS = 5; // classes or objects that are listed
// What is on the page now. `scores` is one array of cells, row by row, for the mean and
// the maximum over heads, then for each head; `head` is an index into it.
const state = {
  image: 0, layer: 0, head: 0, query: data.query, received: false, scores: [],
};
window.attentionMaps = state;

function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function floats(base64) {
  return base64 === null ? null : new Float32Array(bytes(base64).buffer);
}

// A layer with what it projects from the image that is shown.
function layerOf(index) {
  const key = `${state.image},${index}`;
  if (!decoded.has(key)) {
    const layer = { ...data.layers[index] };
    const projected = data.images[state.image].projections[index];
    layer.queries = floats(projected.queries);
    layer.keys = floats(projected.keys);
    layer.logSums = new Float64Array(bytes(projected.log_sums).buffer);
    layer.relativeHeight = floats(layer.relative_height);
    layer.relativeWidth = floats(layer.relative_width);
    decoded.set(key, layer);
  }
  return decoded.get(key);
}

function headNames(layer) {
  const heads = Array.from({ length: layer.heads }, (_, head) => `Head ${head}`);
  return ["Mean", "Maximum", ...heads];
}

function cellOf(layer, [y, x]) {
  return [
    Math.floor(((y + 0.5) * layer.height) / data.height),
    Math.floor(((x + 0.5) * layer.width) / data.width),
  ];
}

function dot(a, i, b, j, depth) {
  let sum = 0;
  for (let d = 0; d < depth; d++) sum += a[i + d] * b[j + d];
  return sum;
}

// One cell's row of the softmax of (q . k + q . r^H[key - query] + q . r^W[key - query])
// / sqrt(depth), or its column where `received`.
function attend(layer, head, [y, x], received) {
  const { height, width, depth, queries } = layer;
  const cells = height * width, start = head * cells, chosen = y * width + x;
  const scale = depth ** -0.5, sign = received ? -1 : 1;
  const scores = new Float64Array(cells);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const other = row * width + column;
      const [from, to] = received ? [other, chosen] : [chosen, other];
      const query = (start + from) * depth;
      let logit = dot(queries, query, layer.keys, (start + to) * depth, depth);
      if (layer.relativeHeight) {
        const down = (sign * (row - y) + height - 1) * depth;
        const right = (sign * (column - x) + width - 1) * depth;
        logit += dot(queries, query, layer.relativeHeight, down, depth);
        logit += dot(queries, query, layer.relativeWidth, right, depth);
      }
      scores[other] = Math.exp(logit * scale - layer.logSums[start + from]);
    }
  }
  return scores;
}

function scoresOf(layer) {
  const cell = cellOf(layer, state.query);
  const heads = [];
  for (let head = 0; head < layer.heads; head++)
    heads.push(attend(layer, head, cell, state.received));
  const mean = heads[0].map((_, i) =>
    heads.reduce((sum, scores) => sum + scores[i], 0) / heads.length);
  const largest = heads[0].map((_, i) => Math.max(...heads.map((one) => one[i])));
  return [mean, largest, ...heads];
}

function largestOf(scores) {
  return scores.reduce((a, b) => Math.max(a, b), 0);
}

function percent(share) {
  return `${(100 * share).toPrecision(3)}\u00a0%`; // no line break before the sign
}

function paint(canvas, shares, limit) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  shares.forEach((share, i) => {
    const color = 3 * Math.min(255, Math.floor((256 * share) / limit));
    picture.data.set([colors[color], colors[color + 1], colors[color + 2], 255], 4 * i);
  });
  context.putImageData(picture, 0, 0);
}

function place(box, top, left, height, width) {
  Object.assign(box.style, {
    top: `${100 * top}%`, left: `${100 * left}%`,
    height: height ? `${100 * height}%` : "", width: width ? `${100 * width}%` : "",
  });
}

function add(parent, tag, className = "", text = "") {
  const child = document.createElement(tag);
  child.className = className;
  child.textContent = text;
  parent.append(child);
  return child;
}

function sizeCanvas(canvas, layer) {
  canvas.width = layer.width;
  canvas.height = layer.height;
  canvas.style.aspectRatio = `${data.width} / ${data.height}`;
}

function chooseImage(index) {
  state.image = index;
  const { name, picture, coarse, prediction } = data.images[index];
  const shown = element("image").querySelector("img");
  shown.src = picture;
  shown.style.aspectRatio = `${data.width} / ${data.height}`;
  shown.classList.toggle("coarse", coarse);
  [...element("images").children].forEach((button, i) =>
    button.setAttribute("aria-pressed", i === index));
  element("image").setAttribute("aria-label",
    `${name}; arrow keys move the chosen pixel`);
  showPrediction(prediction);
  draw();
}

function showPrediction(prediction) {
  element("answer").hidden = !prediction;
  element("prediction").replaceChildren();
  element("boxes").replaceChildren();
  if (!prediction) return;
  const { class_names: names, scores, boxes } = prediction;
  element("box_switch").hidden = !boxes;
  names.slice(0, ANSWERS).forEach((name, i) => {
    const line = add(element("prediction"), "li");
    add(line, "span", "", name);
    add(line, "span", "", `${(100 * scores[i]).toFixed(2)} %`);
    add(add(line, "div"), "i").style.width = `${100 * scores[i]}%`;
  });
  if (boxes && names.length > ANSWERS)
    add(element("prediction"), "li", "", `and ${names.length - ANSWERS} more objects`);
  if (!names.length) add(element("prediction"), "li", "", "no object");
  (boxes || []).forEach(([left, top, right, bottom], i) => {
    const box = add(element("boxes"), "div", "box");
    place(box, top / data.height, left / data.width,
      (bottom - top) / data.height, (right - left) / data.width);
    if (i < ANSWERS) add(box, "span", "", `${names[i]} ${scores[i].toFixed(2)}`);
  });
}

function chooseLayer(index) {
  state.layer = index;
  const layer = data.layers[index];
  const names = headNames(layer);
  state.head = Math.min(state.head, names.length - 1);
  element("layer").value = index;
  element("size").textContent = `${layer.height} × ${layer.width} cells`;
  element("even").textContent = Math.log2(layer.height * layer.width).toFixed(2);
  element("head").replaceChildren(...names.map((name, i) => new Option(name, i)));
  sizeCanvas(element("overlay"), layer);
  element("heads").replaceChildren();
  names.forEach((name, head) => {
    const figure = add(element("heads"), "figure");
    const frame = add(figure, "div", "frame");
    const canvas = add(frame, "canvas");
    canvas.setAttribute("role", "img");
    sizeCanvas(canvas, layer);
    add(frame, "div", "cell");
    add(frame, "div", "hovered");
    add(figure, "figcaption");
    frame.addEventListener("click", (event) => chooseQuery(pixelAt(frame, event)));
    frame.addEventListener("pointermove", (event) =>
      point(head, cellOf(layer, pixelAt(frame, event))));
    frame.addEventListener("pointerleave", () => point(null));
  });
  point(null);
}

function chooseHead(head) {
  state.head = head;
  draw();
}

function pixelAt(frame, event) {
  const box = frame.getBoundingClientRect();
  const along = (position, length, count) =>
    Math.max(0, Math.min(count - 1, Math.floor((position / length) * count)));
  return [
    along(event.clientY - box.top, box.height, data.height),
    along(event.clientX - box.left, box.width, data.width),
  ];
}

function chooseQuery(query) {
  state.query = query;
  draw();
}

function caption(name, layer, scores) {
  const [y, x] = cellOf(layer, state.query);
  let total = 0, entropy = 0, distance = 0;
  scores.forEach((score) => { total += score; });
  scores.forEach((score, i) => {
    const share = score / total;
    if (share > 0) entropy -= share * Math.log2(share);
    const down = (Math.floor(i / layer.width) - y) * (data.height / layer.height);
    const right = ((i % layer.width) - x) * (data.width / layer.width);
    distance += share * Math.hypot(down, right);
  });
  const rest = state.received ? `gets ${total.toFixed(2)} × the average`
    : `${distance.toFixed(1)} px away · ${entropy.toFixed(2)} bits`;
  return `<b>${name}</b> · largest ${percent(largestOf(scores))}<br>${rest}`;
}

function setOpacity() {
  element("overlay").style.opacity = element("opacity").value;
}

function draw() {
  const layer = layerOf(state.layer);
  const names = headNames(layer);
  const [y, x] = cellOf(layer, state.query);
  const all = data.layers.map((_, index) => scoresOf(layerOf(index)));
  state.scores = all[state.layer];
  const limits = state.scores.map(largestOf);
  const common = Math.max(...limits);
  const shared = element("shared").checked;
  element("common").textContent = percent(common);
  element("limit").textContent = percent(limits[state.head]);
  element("pixel").textContent = `(${state.query.join(", ")})`;
  element("head").value = state.head;
  element("chosen").textContent = `${layer.name}: `
    + (state.received ? "who looks at the pixel" : "where the pixel looks");
  for (const [name, hidden] of [["rows", state.received], ["columns", !state.received]])
    document.querySelector(`.${name}`).hidden = hidden;

  [...element("heads").children].forEach((figure, head) => {
    const scores = state.scores[head];
    const canvas = figure.querySelector("canvas");
    paint(canvas, scores, shared ? common : limits[head]);
    const at = scores.indexOf(limits[head]);
    const most = [Math.floor(at / layer.width), at % layer.width];
    canvas.setAttribute("aria-label",
      `${names[head]}: largest, ${percent(limits[head])}, at cell (${most})`);
    figure.classList.toggle("chosen", head === state.head);
    figure.querySelector("figcaption").innerHTML = caption(names[head], layer, scores);
  });
  paint(element("overlay"), state.scores[state.head], limits[state.head]);
  setOpacity();
  document.querySelectorAll("#overview .layer").forEach((group, index) =>
    [...group.querySelectorAll("button")].forEach((button, head) => {
      const scores = all[index][head];
      paint(button.querySelector("canvas"), scores, largestOf(scores));
      button.setAttribute("aria-pressed",
        index === state.layer && head === state.head);
    }));
  place(document.querySelector(".ring"),
    (state.query[0] + 0.5) / data.height, (state.query[1] + 0.5) / data.width);
  for (const cell of document.querySelectorAll(".cell"))
    place(cell, y / layer.height, x / layer.width, 1 / layer.height, 1 / layer.width);
}

function point(head, cell) {
  const layer = layerOf(state.layer);
  for (const mark of document.querySelectorAll(".hovered")) {
    mark.style.display = head === null ? "none" : "block";
    if (head !== null)
      place(mark, cell[0] / layer.height, cell[1] / layer.width,
        1 / layer.height, 1 / layer.width);
  }
  element("pointed").textContent = head === null ? "–"
    : `${headNames(layer)[head].toLowerCase()}, cell (${cell.join(", ")}): `
      + percent(state.scores[head][cell[0] * layer.width + cell[1]]);
}

function addOverview() {
  const columns = Math.max(...data.layers.map((layer) => layer.heads + 2));
  element("overview").style.setProperty("--columns", columns);
  const header = add(add(element("overview"), "div", "heading"), "div", "strip");
  for (let i = 0; i < columns; i++) add(header, "span", "", ["mean", "max"][i] || i - 2);
  data.layers.forEach((layer, index) => {
    const group = add(element("overview"), "div", "layer");
    add(group, "span", "", layer.name);
    const strip = add(group, "div", "strip");
    headNames(layer).forEach((name, head) => {
      const button = add(strip, "button");
      button.type = "button";
      button.title = `${layer.name}, ${name.toLowerCase()}`;
      button.setAttribute("aria-label", button.title);
      sizeCanvas(add(button, "canvas"), layer);
      button.addEventListener("click", () => {
        chooseLayer(index);
        chooseHead(head);
      });
    });
    element("layer").add(new Option(layer.name, index));
  });
}

function addImages() {
  element("images").hidden = data.images.length === 1;
  data.images.forEach(({ name, picture, coarse }, index) => {
    const button = add(element("images"), "button");
    button.type = "button";
    button.title = name;
    const small = add(button, "img", coarse ? "coarse" : "");
    small.src = picture;
    small.alt = name;
    button.addEventListener("click", () => chooseImage(index));
  });
}

function listen() {
  const frame = element("image");
  for (const type of ["pointerdown", "pointermove"])
    frame.addEventListener(type, (event) => {
      if (event.buttons & 1) chooseQuery(pixelAt(frame, event));
    });
  const steps = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
  };
  frame.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const [y, x] = state.query;
    chooseQuery([
      Math.max(0, Math.min(data.height - 1, y + step[0])),
      Math.max(0, Math.min(data.width - 1, x + step[1])),
    ]);
  });
  element("layer").addEventListener("change", (event) => {
    chooseLayer(Number(event.target.value));
    draw();
  });
  element("head").addEventListener("change", (event) =>
    chooseHead(Number(event.target.value)));
  for (const id of ["looks", "received"])
    element(id).addEventListener("change", () => {
      state.received = element("received").checked;
      draw();
    });
  element("shared").addEventListener("change", draw);
  element("opacity").addEventListener("input", setOpacity);
  element("show_boxes").addEventListener("change", (event) => {
    element("boxes").hidden = !event.target.checked;
  });
}

function start() {
  document.title = data.title;
  element("title").textContent = data.title;
  addOverview();
  addImages();
  listen();
  paint(element("legend"), Array.from({ length: 256 }, (_, i) => i), 256);
  chooseLayer(0);
  chooseImage(0);
}

start();
