// The rating stage. It shows one picture at a time, picture pixels on whole device pixels, and turns one key
// press into one vote. The server knows where the rater is; nothing here has to survive but one unsent vote.

const PATIENCE_MS = 800; // without an answer for this long the rater is told
const TIMEOUT_MS = 10000;
const RETRY_MS = [300, 700, 1500, 3000, 5000];
const PENDING = "mos-unsent-vote";
const EXPOSURES = "mos-exposures";
const PAUSED = "pause"; // told as the next stretch's key

const PAIR_KEYS = ["", "ArrowLeft", "ArrowDown", "ArrowRight"]; // by score

const stages = new WeakMap();

export default function (component) {
  const { parentElement } = component;
  let stage = stages.get(parentElement);
  if (!stage) {
    stage = new Stage(parentElement);
    stages.set(parentElement, stage);
  }
  stage.use(component);
  return () => {
    stages.delete(parentElement);
    stage.stop();
  };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

function makeNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

class Stage {
  constructor(root) {
    this.dialog = root.querySelector("dialog");
    this.field = root.querySelector(".field");
    this.place = root.querySelector(".place");
    this.note = root.querySelector(".note");
    this.spoken = root.querySelector(".spoken");
    this.undoButton = root.querySelector(".undo");
    this.pauseButton = root.querySelector(".pause");
    this.scores = root.querySelector(".scores");
    this.scoreButtons = []; // made by write(): one for each answer
    this.slider = null; // on a continuous scale; empty until it is moved
    this.pictures = new Map(); // opaque name -> promise of a decoded <img>
    this.running = false;
    this.stopped = false;
    this.state = null; // the server's last word
    this.item = null; // the item on the stage
    this.image = null; // its <img>, once it is painted
    this.ready = false; // painted, and the minimum exposure is over
    this.pending = null; // a key press that the server has not acknowledged
    this.turn = 0; // counts up with every change of picture, so that late work knows it is late
  }

  use(component) {
    this.data = component.data;
    this.trigger = component.setTriggerValue;
    this.write();
    if (!this.running) this.start();
  }

  write() {
    const { texts } = this.data;
    this.dialog.setAttribute("aria-label", texts.stage);
    this.dialog.lang = this.data.language;
    this.dialog.dir = this.data.direction;
    this.scores.setAttribute("aria-label", texts.question);
    this.undoButton.textContent = texts.undo;
    this.pauseButton.textContent = texts.pause;
    if (this.scores.childElementCount) return;
    if (this.data.method === "pair") this.scores.dir = "ltr"; // the left one stands left in any language
    if (this.data.method === "slider") this.writeSlider();
    else this.scoreButtons = this.data.scores.map((score) => this.writeButton(score));
  }

  writeButton(score) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.score = score;
    button.setAttribute("aria-keyshortcuts", [score, PAIR_KEYS[this.data.method === "pair" ? score : 0]].join(" ").trim());
    button.append(this.named(score));
    this.scores.append(button);
    return button;
  }

  named(score) {
    const name = document.createDocumentFragment();
    const digit = document.createElement("b");
    digit.textContent = score;
    name.append(digit, ` ${this.data.texts.words[score - 1]}`);
    return name;
  }

  writeSlider() {
    this.scores.classList.add("continuous");
    this.slider = document.createElement("input");
    Object.assign(this.slider, { type: "range", min: 0, max: 100, step: 1 });
    this.slider.setAttribute("aria-label", this.data.texts.question);
    const parts = document.createElement("div");
    parts.className = "parts";
    for (const score of this.data.scores) {
      const part = document.createElement("span");
      part.append(this.named(score));
      parts.append(part);
    }
    this.confirmButton = document.createElement("button");
    this.confirmButton.type = "button";
    this.confirmButton.className = "confirm";
    this.confirmButton.textContent = this.data.texts.confirm;
    this.scores.append(parts, this.slider, this.confirmButton);
    this.resetSlider();
  }

  resetSlider() {
    if (!this.slider) return;
    this.slider.value = 50;
    this.slider.classList.add("untouched"); // nothing stands on the scale that would suggest an answer
    this.slider.setAttribute("aria-valuetext", "–");
    this.confirmButton.disabled = true;
  }

  moveSlider(value) {
    if (!this.image) return; // in the grey between two pictures
    if (value !== undefined) this.slider.value = value;
    this.slider.classList.remove("untouched");
    const score = this.sliderScore();
    this.slider.setAttribute("aria-valuetext", `${this.slider.value}: ${this.data.texts.words[score - 1]}`);
    this.confirmButton.disabled = false;
  }

  sliderScore() {
    return Math.min(5, 1 + Math.floor(Number(this.slider.value) / 20));
  }

  confirm() {
    if (this.slider.classList.contains("untouched")) return;
    this.answer(this.sliderScore(), Number(this.slider.value));
  }

  start() {
    this.running = true;
    this.finished = null;
    this.listeners?.abort();
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.focus({ preventScroll: true });
    this.dialog.addEventListener("cancel", (event) => event.preventDefault(), { signal });
    this.dialog.addEventListener("close", () => !this.stopped && this.dialog.showModal(), { signal });
    window.addEventListener("keydown", (event) => this.onKey(event), { signal, capture: true });
    window.addEventListener("resize", () => this.onResize(), { signal });
    document.addEventListener("visibilitychange", () => this.onVisibility(), { signal });
    for (const button of this.scoreButtons) {
      button.addEventListener("click", () => this.answer(Number(button.dataset.score)), { signal });
    }
    if (this.slider) {
      this.slider.addEventListener("input", () => this.moveSlider(), { signal });
      // a click where the thumb happens to be changes no value
      this.slider.addEventListener("pointerdown", () => this.moveSlider(), { signal });
      this.confirmButton.addEventListener("click", () => this.confirm(), { signal });
    }
    this.undoButton.addEventListener("click", () => this.undo(), { signal });
    this.pauseButton.addEventListener("click", () => this.pause(), { signal });
    this.resume();
  }

  stop() {
    this.stopped = true;
    this.turn += 1;
    this.listeners?.abort();
    for (const picture of this.pictures.values()) picture.then((img) => URL.revokeObjectURL(img.src), () => {});
    this.pictures.clear();
    if (this.dialog.open) this.dialog.close();
  }

  async resume() {
    const kept = this.kept();
    if (kept) {
      this.pending = kept;
      await this.send();
    } else {
      const reply = await this.persist("GET", "state");
      if (reply) this.apply(reply.state);
    }
  }

  // --- the unsent vote, kept over a reload of this tab --------------------------------------------------
  kept() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(PENDING));
      return kept && kept.token === this.data.token ? kept : null;
    } catch {
      return null;
    }
  }

  keep(pending) {
    try {
      if (pending) sessionStorage.setItem(PENDING, JSON.stringify(pending));
      else sessionStorage.removeItem(PENDING);
    } catch {
      // storage may be forbidden: then an unsent vote does not survive a reload, and its picture comes again
    }
  }

  // --- how often a picture was on the screen, kept over a reload of this tab ----------------------------
  countExposure(item) {
    let counts = {};
    try {
      counts = JSON.parse(sessionStorage.getItem(EXPOSURES)) ?? {};
    } catch {
      // storage may be forbidden: then only this page's own showings count
    }
    const count = Math.min(1000, (counts[item] ?? 0) + 1);
    try {
      sessionStorage.setItem(EXPOSURES, JSON.stringify({ [item]: count }));
    } catch {
      // as above
    }
    return count;
  }

  // --- input ------------------------------------------------------------------------------------------
  onKey(event) {
    if (this.finished) return;
    const target = event.composedPath()[0];
    if (target instanceof Element && target.closest("input:not([type=range]), textarea, select, [contenteditable]")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.slider && this.onSliderKey(event)) return;
    // a held Enter on a button would click it again and again
    if (event.repeat) {
      if (event.key !== "Tab") event.preventDefault();
      return;
    }
    if (event.key === "Backspace") {
      event.preventDefault();
      this.undo();
      return;
    }
    // event.code for keyboards whose digits need the shift key
    const score = this.scoreOf(event);
    if (!score) return;
    event.preventDefault();
    event.stopPropagation();
    if (this.slider) this.moveSlider(score * 20 - 10);
    else this.answer(score);
  }

  // The answer that a key stands for, if the study has it.
  scoreOf(event) {
    const digit = /^[1-5]$/.test(event.key) ? event.key : /^(?:Digit|Numpad)([1-5])$/.exec(event.code)?.[1];
    const score = digit ? Number(digit) : this.data.method === "pair" ? PAIR_KEYS.indexOf(event.key) : 0;
    return this.data.scores.includes(score) ? score : 0;
  }

  // Arrows move, also held down; Enter confirms, once.
  onSliderKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 }[event.key];
    if (step) {
      event.preventDefault();
      const mirrored = this.data.direction === "rtl" && /Left|Right/.test(event.key) ? -1 : 1;
      this.moveSlider(Number(this.slider.value) + step * mirrored);
      return true;
    }
    if (event.key !== "Enter" || [this.undoButton, this.pauseButton].includes(event.composedPath()[0])) return false;
    event.preventDefault();
    if (!event.repeat) this.confirm();
    return true;
  }

  onResize() {
    if (!this.image) return;
    this.lay(this.image);
    this.arm();
  }

  onVisibility() {
    if (document.hidden) this.wasHidden = true;
  }

  get armed() {
    return Boolean(this.ready && !this.pending && !this.undoing && this.item && this.fits && !this.finished);
  }

  answer(score, slider) {
    if (!this.armed) return;
    const { item } = this;
    if (item.label && score !== item.label) {
      this.say(fill(this.data.texts.press_label, { score: item.label }));
      return;
    }
    performance.mark("mos-answer");
    this.pending = {
      token: this.data.token,
      ballot: {
        item: item.item,
        nonce: makeNonce(),
        score,
        ...(slider === undefined ? {} : { slider }),
        response_ms: Math.round(performance.now() - this.shownAt),
        display: this.measure(),
      },
    };
    this.keep(this.pending);
    // the next picture is loaded, and shown once this vote is saved: in an outage nothing flashes up
    this.turn += 1;
    this.clear();
    this.send();
  }

  async undo() {
    if (!this.item || this.pending || this.undoing || !this.state?.can_undo || this.finished) return;
    const { item } = this.item;
    this.undoing = true;
    this.turn += 1;
    this.clear();
    const reply = await this.persist("POST", "undo", { item });
    this.undoing = false;
    if (reply) this.apply(reply.state);
  }

  // Back to the card, where one goes on or withdraws; the picture comes again.
  pause() {
    if (!this.pending && !this.undoing) this.finish(PAUSED);
  }

  // --- the server ------------------------------------------------------------------------------------
  async send() {
    const reply = await this.persist("POST", "vote", this.pending.ballot);
    if (!reply) return;
    this.pending = null;
    this.keep(null);
    if (reply.reason === "conflict") this.say(this.data.texts.elsewhere);
    this.apply(reply.state);
  }

  // Asks until there is an answer. The same request, with the same nonce, may arrive twice: it counts once.
  async persist(method, path, body) {
    const patience = this.tellWhenLate(path === "vote" ? this.data.texts.offline_vote : this.data.texts.offline);
    try {
      return await this.ask(method, path, body);
    } finally {
      clearTimeout(patience);
    }
  }

  // Nobody looks at blank grey for longer than this without a word.
  tellWhenLate(text) {
    return setTimeout(() => !this.stopped && this.say(text), PATIENCE_MS);
  }

  async ask(method, path, body) {
    for (let attempt = 0; !this.stopped; attempt += 1) {
      try {
        const response = await fetch(`${this.data.api}/${path}`, {
          method,
          cache: "no-store",
          headers: {
            Authorization: `Bearer ${this.data.token}`,
            ...(body ? { "Content-Type": "application/json" } : {}),
          },
          body: body ? JSON.stringify(body) : undefined,
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        if (response.status === 401) {
          this.keep(null);
          this.say(this.data.texts.link_ended);
          this.finish("link-ended");
          return null;
        }
        if (response.ok || response.status === 409 || response.status === 422) {
          const reply = await response.json();
          if (reply.state) {
            this.say("");
            return reply;
          }
        }
      } catch {
        // no network, a restarted server, a lost answer: ask again
      }
      const wait = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
      await sleep(wait * (0.75 + Math.random() / 2));
    }
    return null;
  }

  apply(state) {
    if (this.stopped) return;
    this.state = state;
    if (state.key !== this.data.key || !state.current) {
      this.finish(state.key);
      return;
    }
    this.undoButton.disabled = !state.can_undo;
    const names = [state.current, ...state.next].flatMap((item) => [item.image, item.beside]).filter(Boolean);
    for (const name of names) this.picture(name);
    const wanted = new Set(names);
    for (const [name, picture] of this.pictures) {
      if (wanted.has(name)) continue;
      this.pictures.delete(name);
      picture.then((img) => img !== this.image && img !== this.beside && URL.revokeObjectURL(img.src), () => {});
    }
    if (this.item?.item === state.current.item) {
      this.tell(state.current, state.place);
      this.arm();
    } else {
      this.turn += 1;
      this.clear();
      this.show(state.current, state.place);
    }
  }

  // The stretch is over: Streamlit takes over. Told again and again, for its connection may be down too.
  async finish(key) {
    if (this.finished) return;
    this.finished = key;
    this.turn += 1;
    this.clear();
    this.place.textContent = "";
    this.spoken.textContent = this.data.texts.moment;
    this.tellWhenLate(this.data.texts.moment);
    for (let attempt = 0; !this.stopped && this.finished === key; attempt += 1) {
      if (attempt === 5) {
        location.reload();
        return;
      }
      this.trigger("done", `${key} ${attempt}`);
      await sleep(3000);
    }
  }

  // --- pictures ----------------------------------------------------------------------------------------
  picture(name) {
    let picture = this.pictures.get(name);
    if (!picture) {
      picture = this.fetchPicture(name);
      picture.catch(() => this.pictures.delete(name));
      this.pictures.set(name, picture);
    }
    return picture;
  }

  async fetchPicture(name) {
    const response = await fetch(`${this.data.api}/s/${name}`, {
      cache: "no-store",
      headers: { Authorization: `Bearer ${this.data.token}` },
      signal: AbortSignal.timeout(3 * TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`picture: ${response.status}`);
    const img = new Image();
    img.alt = this.data.texts.picture;
    img.draggable = false;
    img.src = URL.createObjectURL(await response.blob());
    await img.decode();
    return img;
  }

  clear() {
    clearTimeout(this.latePicture);
    this.greySince = performance.now();
    this.field.replaceChildren();
    this.item = null;
    this.image = null;
    this.beside = null;
    this.ready = false;
    this.resetSlider();
    this.arm();
  }

  async show(item, place) {
    const turn = (this.turn += 1);
    this.item = item;
    const grey = sleep(Math.max(0, this.data.gap_ms - (performance.now() - this.greySince)));
    this.latePicture = this.tellWhenLate(this.data.texts.moment);
    let img;
    let beside = null;
    for (let attempt = 0; !img; attempt += 1) {
      try {
        if (item.beside) beside = await this.picture(item.beside);
        img = await this.picture(item.image);
      } catch {
        if (turn !== this.turn || this.stopped) return;
        this.say(this.data.texts.offline);
        await sleep(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
        if (attempt === 2) {
          // perhaps it is not ours to see any more: ask where we are
          const reply = await this.persist("GET", "state");
          if (turn === this.turn && reply && !this.pending) {
            this.item = null;
            this.apply(reply.state);
          }
          return;
        }
      }
      if (turn !== this.turn || this.stopped) return;
    }
    await grey;
    if (turn !== this.turn || this.stopped) return;
    clearTimeout(this.latePicture);
    if ([this.data.texts.moment, this.data.texts.offline].includes(this.note.textContent)) this.say("");
    this.resetSlider(); // a mouse drags it in the grey, too
    this.beside = beside;
    this.lay(img);
    this.field.replaceChildren(...[beside, img].filter(Boolean));
    this.image = img;
    this.wasHidden = document.hidden;
    await frame();
    await frame();
    if (turn !== this.turn || this.stopped) return;
    performance.mark("mos-painted");
    this.exposures = this.countExposure(item.item);
    this.shownAt = performance.now();
    this.tell(item, place);
    await sleep(this.data.minimum_exposure_ms);
    if (turn !== this.turn || this.stopped) return;
    this.ready = true;
    this.arm();
  }

  // One device pixel per picture pixel (or a whole number of them), at a whole device pixel.
  lay(img) {
    const ratio = window.devicePixelRatio;
    const width = img.naturalWidth;
    const height = img.naturalHeight;
    const roomWidth = this.field.clientWidth * ratio;
    const roomHeight = this.field.clientHeight * ratio;
    const { beside } = this;
    // the original, or the other one of a pair, stands on the left
    const wide = (factor) => width * factor * (beside ? 2 : 1) + (beside ? this.data.original_gap : 0);
    const fits = (factor) => wide(factor) <= roomWidth + 0.5 && height * factor <= roomHeight + 0.5;
    // on dense displays each picture pixel takes 2 x 2 or 3 x 3 device pixels, where the study says so
    let factor = Math.max(1, Math.min(this.data.magnification, Math.floor(ratio + 0.25)));
    while (factor > 1 && !fits(factor)) factor -= 1;
    this.magnification = factor;
    this.fits = fits(factor);
    const left = Math.max(0, Math.round((roomWidth - wide(factor)) / 2));
    const top = Math.max(0, Math.round((roomHeight - height * factor) / 2));
    for (const [picture, x] of [[beside, left], [img, left + wide(factor) - width * factor]]) {
      if (!picture) continue;
      picture.style.width = `${(width * factor) / ratio}px`;
      picture.style.height = `${(height * factor) / ratio}px`;
      picture.style.left = `${x / ratio}px`;
      picture.style.top = `${top / ratio}px`;
    }
    const { texts } = this.data;
    if (!this.fits) this.say(texts.too_small);
    else if (this.note.textContent === texts.too_small) this.say("");
  }

  measure() {
    const ratio = window.devicePixelRatio;
    const rect = this.image.getBoundingClientRect();
    return {
      surface: "stage",
      pixel_ratio: ratio,
      rect_left: rect.left * ratio,
      rect_top: rect.top * ratio,
      rect_width: rect.width * ratio,
      rect_height: rect.height * ratio,
      zoom: window.visualViewport?.scale ?? 1,
      window_width: Math.round(window.innerWidth),
      window_height: Math.round(window.innerHeight),
      screen_width: Math.round(window.screen.width),
      screen_height: Math.round(window.screen.height),
      magnification: this.magnification,
      exposures: this.exposures,
      hidden: Boolean(this.wasHidden || document.hidden),
    };
  }

  // --- words -------------------------------------------------------------------------------------------
  arm() {
    const { armed } = this;
    for (const button of this.scoreButtons) button.setAttribute("aria-disabled", String(!armed));
    this.dialog.dataset.armed = String(armed);
  }

  tell(item, place) {
    const { texts } = this.data;
    const { block, stretch, minutes_left: minutes } = this.state;
    const values = { place, stretch, block, minutes, score: item.label, word: texts.words[item.label - 1] };
    let line = fill(texts.place[this.data.phase], values);
    if (item.label) line = fill(texts.example, values);
    this.dialog.classList.toggle("beside", Boolean(item.beside));
    if (item.beside) line = `${line} · ${texts.sides}`;
    this.place.textContent = line;
    this.spoken.textContent = line;
    for (const button of this.scoreButtons) {
      const wanted = item.label === Number(button.dataset.score);
      button.classList.toggle("wanted", wanted);
      button.disabled = Boolean(item.label) && !wanted;
    }
  }

  say(text) {
    if (this.note.textContent !== text) this.note.textContent = text;
  }
}
