// The viewing check: grey patches on each side of mid-grey, whether the window is large enough and, where the
// study asks for them, the pixels per millimetre (a bank card held against the screen) and the distance (the
// blind spot, 13.5 degrees from where one looks: the virtual chinrest of Li et al., 2020).

const CARD_MM = 85.6;
const BLIND_SPOT_DEGREES = 13.5;
const TRIALS = 3;
const DOT_SPEED = 90; // CSS pixels a second

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

export default function ({ parentElement, data, setStateValue }) {
  const find = (name) => parentElement.querySelector(name);
  const measured = find(".measured");
  const { texts } = data;
  const found = { card_mm: null, distance_mm: null }; // what the rater measured: CSS pixels per mm, mm
  const controller = new AbortController();
  const { signal } = controller;
  find(".grey").setAttribute("aria-label", texts.patches);
  drawPatches(find(".grey"), data.steps);

  let last = "";
  const look = () => {
    const ratio = window.devicePixelRatio;
    const width = Math.floor(window.innerWidth * ratio);
    const height = Math.floor((window.innerHeight - data.bar) * ratio);
    const fits = width >= data.width && height >= data.height;
    measured.textContent = fits ? texts.fits : texts.too_small;
    const full = find(".full");
    full.hidden = fits || !document.fullscreenEnabled || Boolean(document.fullscreenElement);
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
      ...(found.card_mm ? { pixels_per_mm: found.card_mm * ratio } : {}),
      ...(found.distance_mm ? { distance_mm: found.distance_mm } : {}),
    };
    const text = JSON.stringify(value);
    if (text !== last) setStateValue("measured", value);
    last = text;
  };

  find(".full").textContent = texts.full_screen;
  find(".full").addEventListener("click", () => document.documentElement.requestFullscreen().catch(() => {}), { signal });

  if (data.card) {
    find(".card").hidden = false;
    find(".card-text").textContent = texts.card;
    const slider = find(".card-width");
    slider.setAttribute("aria-label", texts.card);
    const resize = () => {
      find(".card-box").style.width = `${slider.value}px`;
      find(".card-box").style.height = "auto";
    };
    slider.addEventListener("input", resize, { signal });
    slider.addEventListener(
      "change",
      () => {
        found.card_mm = Number(slider.value) / CARD_MM;
        look();
      },
      { signal },
    );
    slider.value = "324"; // 96 pixels to the inch
    resize();
  }

  if (data.blind_spot) {
    find(".blind").hidden = false;
    find(".blind-text").textContent = texts.blind_spot;
    const start = find(".blind-start");
    const told = find(".blind-told");
    const dot = find(".dot");
    const field = find(".blind-field");
    const distances = [];
    let moving = null;
    start.textContent = texts.blind_spot_start;
    const begin = () => {
      if (moving || !found.card_mm) {
        if (!found.card_mm) told.textContent = texts.card_first;
        return;
      }
      const from = performance.now();
      dot.hidden = false;
      const step = (now) => {
        const offset = ((now - from) / 1000) * DOT_SPEED;
        if (offset > field.clientWidth) {
          stop();
          return;
        }
        dot.style.right = `${20 + offset}px`;
        moving = { offset, handle: requestAnimationFrame(step) };
      };
      moving = { offset: 0, handle: requestAnimationFrame(step) };
    };
    const stop = () => {
      if (moving) cancelAnimationFrame(moving.handle);
      moving = null;
      dot.hidden = true;
    };
    start.addEventListener("click", begin, { signal });
    window.addEventListener(
      "keydown",
      (event) => {
        if (event.key !== " " || !moving) return;
        event.preventDefault();
        const { offset } = moving;
        stop();
        distances.push(offset / found.card_mm / Math.tan((BLIND_SPOT_DEGREES * Math.PI) / 180));
        if (distances.length > TRIALS) distances.shift();
        told.textContent = `${distances.length} / ${TRIALS}`;
        if (distances.length === TRIALS) {
          found.distance_mm = [...distances].sort((a, b) => a - b)[1];
          look();
        }
      },
      { signal, capture: true },
    );
  }

  look();
  let waiting;
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(look, 200);
  };
  window.addEventListener("resize", later, { signal });
  document.addEventListener("fullscreenchange", later, { signal });
  return () => controller.abort();
}
