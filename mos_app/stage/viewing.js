// The viewing check: eight grey patches on each side of mid-grey, and whether the window is large enough.

export default function ({ parentElement, data, setStateValue }) {
  const canvas = parentElement.querySelector("canvas");
  const measured = parentElement.querySelector(".measured");
  canvas.setAttribute("aria-label", data.texts.patches);
  const ratio = window.devicePixelRatio;
  canvas.style.width = `${canvas.width / ratio}px`;
  canvas.style.height = `${canvas.height / ratio}px`;
  const context = canvas.getContext("2d");
  const side = canvas.width / data.steps.length;
  data.steps.forEach(([outside, inside], index) => {
    context.fillStyle = `rgb(${outside} ${outside} ${outside})`;
    context.fillRect(index * side, 0, side, canvas.height);
    context.fillStyle = `rgb(${inside} ${inside} ${inside})`;
    context.fillRect(index * side + side / 4, canvas.height / 4, side / 2, canvas.height / 2);
  });
  let last = "";
  const look = () => {
    const now = window.devicePixelRatio;
    const width = Math.floor(window.innerWidth * now);
    const height = Math.floor((window.innerHeight - data.bar) * now);
    const fits = width >= data.width && height >= data.height;
    measured.textContent = fits ? data.texts.fits : data.texts.too_small;
    const value = {
      fits,
      pixel_ratio: now,
      window_width: window.innerWidth,
      window_height: window.innerHeight,
      screen_width: window.screen.width,
      screen_height: window.screen.height,
      zoom: window.visualViewport?.scale ?? 1,
      colour_depth: window.screen.colorDepth,
      touch: navigator.maxTouchPoints > 0,
    };
    const text = JSON.stringify(value);
    if (text !== last) setStateValue("measured", value);
    last = text;
  };
  look();
  let waiting;
  const onResize = () => {
    clearTimeout(waiting);
    waiting = setTimeout(look, 200);
  };
  window.addEventListener("resize", onResize);
  return () => window.removeEventListener("resize", onResize);
}
