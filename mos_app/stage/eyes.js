// Two tests of the eyes that a study may ask for: Landolt rings at the size of the acuity that is wanted, and
// plates whose digit differs from its ground in the signal of one kind of cone alone.

const RING_TRIALS = 8;
const DIRECTIONS = ["→", "↓", "←", "↑"]; // quarter turns, clockwise
const DIGITS = "2345689"; // 0, 1 and 7 look like others

// linear sRGB to the cones' signals (Hunt, Pointer and Estevez, normalised to D65); rows are L, M, S
const TO_CONES = [
  [0.31399, 0.63951, 0.0465],
  [0.15537, 0.75789, 0.0867],
  [0.01775, 0.10944, 0.87257],
];

const instances = new WeakMap();

function inverse([[a, b, c], [d, e, f], [g, h, i]]) {
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ].map((row) => row.map((value) => value / determinant));
}

const toCss = (linear) => {
  const encode = (v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);
  return `rgb(${linear.map((v) => Math.round(255 * encode(Math.min(1, Math.max(0, v))))).join(" ")})`;
};

const random = (count) => Math.floor((crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32) * count);
const uniform = () => random(2 ** 30) / 2 ** 30;

// A ring whose stroke and gap are a fifth of its diameter (ISO 8596), in device pixels.
function drawRing(canvas, gap, turn) {
  const side = Math.max(64, Math.ceil(5 * gap) + 32);
  const ratio = window.devicePixelRatio;
  Object.assign(canvas, { width: side, height: side });
  canvas.style.width = canvas.style.height = `${side / ratio}px`;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, side, side);
  context.translate(side / 2, side / 2);
  context.rotate((turn * Math.PI) / 2);
  context.strokeStyle = "#000";
  context.lineWidth = gap;
  context.beginPath();
  context.arc(0, 0, 2 * gap, 0, 2 * Math.PI);
  context.stroke();
  context.fillStyle = "#fff";
  context.fillRect(0, -gap / 2, 3 * gap, gap);
}

// Dots of random size and lightness; those within the digit are moved along `axis` (linear RGB).
function drawPlate(canvas, digit, axis) {
  const side = 320;
  Object.assign(canvas, { width: side, height: side });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.font = `bold ${0.72 * side}px "DejaVu Sans", Arial, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(digit, side / 2, side * 0.53);
  const mask = context.getImageData(0, 0, side, side).data;
  context.fillStyle = "#808080";
  context.fillRect(0, 0, side, side);
  const dots = [];
  for (let trial = 0; trial < 9000; trial += 1) {
    const radius = 3 + 6 * uniform();
    const x = side * uniform();
    const y = side * uniform();
    if (Math.hypot(x - side / 2, y - side / 2) > side / 2 - radius) continue;
    if (dots.some((dot) => Math.hypot(x - dot.x, y - dot.y) < radius + dot.radius + 1)) continue;
    dots.push({ x, y, radius });
    const inside = mask[4 * (Math.round(y) * side + Math.round(x)) + 3] > 127;
    const light = 0.75 + 0.5 * uniform(); // hides what lightness would tell
    context.fillStyle = toCss([0.3, 0.24, 0.09].map((v, k) => light * (v + (inside ? axis[k] : 0))));
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  }
}

export default function ({ parentElement, data, setStateValue }) {
  let tests = instances.get(parentElement);
  if (!tests) {
    tests = new Tests(parentElement, data);
    instances.set(parentElement, tests);
  }
  tests.tell = (found) => setStateValue("found", found);
  tests.use(data);
  return () => instances.delete(parentElement);
}

class Tests {
  constructor(root, data) {
    this.root = root;
    this.found = {};
    this.gap = null;
    if (data.plates) this.makePlates(data);
  }

  report(found) {
    this.found = { ...this.found, ...found };
    this.tell(this.found);
  }

  use(data) {
    const rings = this.root.querySelector(".rings");
    rings.hidden = !data.rings;
    if (!data.rings) return;
    this.root.querySelector(".rings-text").textContent = data.texts.rings;
    const usable = data.gap !== null && data.gap >= 1;
    this.root.querySelector(".ring").hidden = !usable;
    this.root.querySelector(".directions").hidden = !usable;
    if (!usable) {
      this.gap = null;
      this.root.querySelector(".rings-told").textContent = data.told;
      return;
    }
    if (this.gap === data.gap) return;
    this.gap = data.gap; // the distance was measured, or measured again: from the beginning
    this.trial = 0;
    this.right = 0;
    this.turn = random(4);
    const buttons = DIRECTIONS.map((arrow, turn) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = arrow;
      button.addEventListener("click", () => this.choose(turn, buttons));
      return button;
    });
    this.root.querySelector(".directions").replaceChildren(...buttons);
    this.root.querySelector(".ring").setAttribute("aria-label", data.texts.ring);
    this.next();
  }

  next() {
    this.root.querySelector(".rings-told").textContent = `${this.trial} / ${RING_TRIALS}`;
    const before = this.turn;
    if (this.trial < RING_TRIALS) while (this.turn === before) this.turn = random(4);
    drawRing(this.root.querySelector(".ring"), this.gap, this.turn);
  }

  choose(turn, buttons) {
    if (this.trial === RING_TRIALS) return;
    this.right += turn === this.turn;
    this.trial += 1;
    this.next();
    if (this.trial < RING_TRIALS) return;
    for (const button of buttons) button.disabled = true;
    this.report({ rings_right: this.right });
  }

  makePlates(data) {
    const cones = inverse(TO_CONES);
    const axis = (cone, size) => cones.map((row) => row[cone] * size);
    // one that everybody reads, two for the L cones, two for the M cones
    const axes = [[0.18, -0.1, -0.05], axis(0, 0.035), axis(1, -0.035), axis(0, -0.035), axis(1, 0.035)];
    this.root.querySelector(".plates").hidden = false;
    this.root.querySelector(".plates-text").textContent = data.texts.plates;
    const inputs = [];
    const row = this.root.querySelector(".plate-row");
    for (const change of axes) {
      const canvas = document.createElement("canvas");
      const input = document.createElement("input");
      const digit = DIGITS[random(DIGITS.length)];
      Object.assign(input, { inputMode: "numeric", maxLength: 1, autocomplete: "off" });
      input.setAttribute("aria-label", data.texts.plate);
      input.dataset.right = digit;
      drawPlate(canvas, digit, change);
      input.addEventListener("input", () => {
        if (inputs.every((one) => one.value)) {
          this.report({ plates_right: inputs.filter((one) => one.value === one.dataset.right).length });
        }
      });
      inputs.push(input);
      const box = document.createElement("div");
      box.append(canvas, input);
      row.append(box);
    }
  }
}
