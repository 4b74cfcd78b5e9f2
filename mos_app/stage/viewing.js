// The viewing check: grey patches on each side of mid-grey, whether the window is large enough and, where the
// study asks for them, the pixels per millimetre (a bank card held against the screen) and the distance (the
// blind spot, 13.5 degrees from where one looks: the virtual chinrest of Li et al., 2020).

const CARD_MM = 85.6;
const BLIND_SPOT_DEGREES = 13.5;
const TRIALS = 3;
const DOT_SPEED = 90; // CSS pixels a second
const LEAST_MM = 5; // of the blind spot: a distance of 2 cm

function drawPatches(canvas, steps) {
  const ratio = window.devicePixelRatio;
  canvas.style.width = `${canvas.width / ratio}px`;
  canvas.style.height = `${canvas.height / ratio}px`;
  const context = canvas.getContext("2d");
  const side = canvas.width / steps.length;
  steps.forEach(([outside, inside], index) => {
    context.fillStyle = `rgb(${outside} ${outside} ${outside})`;
    context.fillRect(index * side, 0, side, canvas.height);
    context.fillStyle = `rgb(${inside} ${inside} ${inside})`;
    context.fillRect(index * side + side / 4, canvas.height / 4, side / 2, canvas.height / 2);
  });
}

// Streamlit calls this again at every run of the page: what was measured has to outlive the call.
const checks = new WeakMap();

export default function ({ parentElement, data, setStateValue }) {
  let check = checks.get(parentElement);
  if (!check) {
    check = new Check(parentElement, data);
    checks.set(parentElement, check);
  }
  check.report = (value) => setStateValue("measured", value);
  check.look();
  return () => {
    checks.delete(parentElement);
    check.controller.abort();
  };
}

class Check {
  constructor(root, data) {
    this.find = (name) => root.querySelector(name);
    this.data = data;
    this.card_mm = null; // CSS pixels per mm
    this.distance_mm = null;
    this.offsets = []; // of the dot when it disappeared, CSS pixels
    this.moving = null;
    this.last = "";
    this.controller = new AbortController();
    const { texts } = data;
    this.find(".grey").setAttribute("aria-label", texts.patches);
    drawPatches(this.find(".grey"), data.steps);
    this.find(".full").textContent = texts.full_screen;
    this.on(this.find(".full"), "click", () => document.documentElement.requestFullscreen().catch(() => {}));
    if (data.card) this.showCard();
    if (data.blind_spot) this.showBlindSpot();
    let waiting;
    const later = () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.look(), 200);
    };
    this.on(window, "resize", later);
    this.on(document, "fullscreenchange", later);
  }

  on(target, name, handler, options = {}) {
    target.addEventListener(name, handler, { ...options, signal: this.controller.signal });
  }

  // Tells the page what is measured, when it is something new.
  look() {
    const { data } = this;
    const ratio = window.devicePixelRatio;
    const width = Math.floor(window.innerWidth * ratio);
    const height = Math.floor((window.innerHeight - data.bar) * ratio);
    const fits = width >= data.width && height >= data.height;
    this.find(".measured").textContent = fits ? data.texts.fits : data.texts.too_small;
    this.find(".full").hidden = fits || !document.fullscreenEnabled || Boolean(document.fullscreenElement);
    const value = {
      fits,
      pixel_ratio: ratio,
      window_width: window.innerWidth,
      window_height: window.innerHeight,
      screen_width: window.screen.width,
      screen_height: window.screen.height,
      zoom: window.visualViewport?.scale ?? 1,
      colour_depth: window.screen.colorDepth,
      touch: navigator.maxTouchPoints > 0,
      ...(this.card_mm ? { pixels_per_mm: this.card_mm * ratio } : {}),
      ...(this.distance_mm ? { distance_mm: this.distance_mm } : {}),
    };
    const text = JSON.stringify(value);
    if (text === this.last) return;
    this.last = text;
    this.report(value);
  }

  showCard() {
    const { texts } = this.data;
    this.find(".card").hidden = false;
    this.find(".card-text").textContent = texts.card;
    const slider = this.find(".card-width");
    slider.setAttribute("aria-label", texts.card);
    const resize = () => {
      this.find(".card-box").style.width = `${slider.value}px`;
      this.find(".card-box").style.height = "auto";
    };
    this.on(slider, "input", resize);
    this.on(slider, "change", () => {
      this.card_mm = Number(slider.value) / CARD_MM;
      this.look();
    });
    slider.value = "324"; // 96 pixels to the inch
    resize();
  }

  showBlindSpot() {
    const { texts } = this.data;
    this.find(".blind").hidden = false;
    this.find(".blind-text").textContent = texts.blind_spot;
    this.find(".blind-start").textContent = texts.blind_spot_start;
    this.on(this.find(".blind-start"), "click", () => this.begin());
    this.on(window, "keydown", (event) => this.onKey(event), { capture: true });
  }

  begin() {
    if (this.moving) return;
    if (!this.card_mm) {
      this.find(".blind-told").textContent = this.data.texts.card_first;
      return;
    }
    const from = performance.now();
    const dot = this.find(".dot");
    dot.style.right = "20px"; // not where the last trial left it
    dot.hidden = false;
    const step = (now) => {
      const offset = Math.max(0, ((now - from) / 1000) * DOT_SPEED);
      if (offset > this.find(".blind-field").clientWidth) {
        this.halt();
        return;
      }
      dot.style.right = `${20 + offset}px`;
      this.moving = { offset, handle: requestAnimationFrame(step) };
    };
    this.moving = { offset: 0, handle: requestAnimationFrame(step) };
  }

  halt() {
    if (this.moving) cancelAnimationFrame(this.moving.handle);
    this.moving = null;
    this.find(".dot").hidden = true;
  }

  onKey(event) {
    if (event.key !== " " || !this.moving) return;
    event.preventDefault();
    const { offset } = this.moving;
    if (offset < LEAST_MM * this.card_mm) return; // nobody sits so near: a slip of the finger
    this.halt();
    this.offsets = [...this.offsets, offset].slice(-TRIALS);
    this.find(".blind-told").textContent = `${this.offsets.length} / ${TRIALS}`;
    if (this.offsets.length < TRIALS) return;
    const middle = [...this.offsets].sort((a, b) => a - b)[1];
    this.distance_mm = middle / this.card_mm / Math.tan((BLIND_SPOT_DEGREES * Math.PI) / 180);
    this.look();
  }
}
