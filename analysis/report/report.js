"use strict";
// The viewer. An image pixel is `zoom` device pixels wide, whatever the device pixel ratio; offsets are whole
// device pixels, measured from the page, so that no browser has to interpolate.
(() => {
  const $ = (id) => document.getElementById(id);
  const index = JSON.parse($("v-index").textContent);
  const stage = $("v-stage");
  const panes = { left: $("v-pane-left"), right: $("v-pane-right") };
  const pictures = { left: $("v-img-left"), right: $("v-img-right") };
  const chosen = { left: $("v-left"), right: $("v-right") };
  const state = { image: 0, zoom: 2, x: 0, y: 0, line: 0.5 };
  const MOST_ZOOM = 16;

  function option(select, value, text) {
    const element = document.createElement("option");
    element.value = value;
    element.textContent = text;
    select.append(element);
  }

  function fillImages() {
    let group = null;
    index.forEach((image, place) => {
      if (!group || group.label !== image.dataset) {
        group = document.createElement("optgroup");
        group.label = image.dataset;
        $("v-image").append(group);
      }
      option(group, place, image.name);
    });
  }

  function fillMethods() {
    const versions = index[state.image].versions;
    const wanted = {
      left: chosen.left.selectedOptions[0]?.textContent ?? "bicubic",
      right: chosen.right.selectedOptions[0]?.textContent ?? "SRGAN-VGG54",
    };
    for (const side of ["left", "right"]) {
      chosen[side].replaceChildren();
      versions.forEach((version, place) => option(chosen[side], place, version.method));
      let place = versions.findIndex((version) => version.method === wanted[side]);
      if (place < 0) place = side === "left" ? 0 : versions.length - 1;
      chosen[side].value = place;
    }
  }

  function load() {
    const image = index[state.image];
    for (const side of ["left", "right"]) {
      const place = Number(chosen[side].value);
      pictures[side].src = "data:image/webp;base64," + $(`v-${state.image}-${place}`).textContent;
      pictures[side].alt = `${image.name} by ${image.versions[place].method}`;
    }
    const words = ["left", "right"].map((side) => {
      const version = image.versions[Number(chosen[side].value)];
      return `${side}: ${version.method}${version.words ? ` (${version.words})` : ""}`;
    });
    $("v-words").textContent = words.join(" · ") + (image.cut ? ` · part shown: ${image.cut}` : "");
    Promise.all(Object.values(pictures).map((picture) => picture.decode())).then(draw, draw);
  }

  function clamp(value, low, high) {
    return Math.min(Math.max(value, low), high);
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const beside = $("v-mode").value === "beside";
    stage.classList.toggle("beside", beside);
    const width = pictures.left.naturalWidth * state.zoom;
    const height = pictures.left.naturalHeight * state.zoom;
    for (const side of ["left", "right"]) {
      const box = panes[side].getBoundingClientRect();
      const room = { x: Math.floor(box.width * ratio), y: Math.floor(box.height * ratio) };
      // smaller than the pane: centred; larger: no further than its edges
      state.x = width <= room.x ? Math.round((room.x - width) / 2) : clamp(Math.round(state.x), room.x - width, 0);
      state.y = height <= room.y ? Math.round((room.y - height) / 2) : clamp(Math.round(state.y), room.y - height, 0);
    }
    for (const side of ["left", "right"]) {
      const box = panes[side].getBoundingClientRect();
      const page = { x: (box.left + window.scrollX + panes[side].clientLeft) * ratio, y: (box.top + window.scrollY) * ratio };
      const picture = pictures[side];
      picture.style.width = `${width / ratio}px`;
      picture.style.height = `${height / ratio}px`;
      picture.style.left = `${(state.x + Math.ceil(page.x) - page.x) / ratio}px`;
      picture.style.top = `${(state.y + Math.ceil(page.y) - page.y) / ratio}px`;
    }
    const at = Math.round(stage.clientWidth * state.line * ratio) / ratio;
    panes.right.style.clipPath = beside ? "none" : `inset(0 0 0 ${at}px)`;
    $("v-line").style.left = `${at - 1}px`;
    $("v-slider").disabled = beside;
    $("v-zoom").textContent = `${state.zoom}×`;
  }

  function zoomTo(zoom, clientX, clientY) {
    const ratio = window.devicePixelRatio || 1;
    const next = clamp(zoom, 1, MOST_ZOOM);
    const box = stage.getBoundingClientRect();
    const beside = $("v-mode").value === "beside";
    const half = box.width / 2;
    let x = clientX === undefined ? (beside ? half / 2 : half) : clientX - box.left;
    if (beside && x > half) x -= half;
    const y = clientY === undefined ? box.height / 2 : clientY - box.top;
    state.x = x * ratio - ((x * ratio - state.x) * next) / state.zoom;
    state.y = y * ratio - ((y * ratio - state.y) * next) / state.zoom;
    state.zoom = next;
    draw();
  }

  // #view=dataset/image/method: a table's link
  function follow() {
    const parts = location.hash.startsWith("#view=") ? location.hash.slice(6).split("/").map(decodeURIComponent) : [];
    const place = index.findIndex((image) => image.dataset === parts[0] && image.image === parts[1]);
    if (place < 0) return;
    state.image = place;
    $("v-image").value = place;
    fillMethods();
    const methods = index[place].versions.map((version) => version.method);
    const sides = { left: methods.indexOf("HR"), right: methods.indexOf(parts[2]) };
    for (const side of ["left", "right"]) if (sides[side] >= 0) chosen[side].value = sides[side];
    load();
    $("viewer").scrollIntoView();
  }

  fillImages();
  fillMethods();
  load();
  follow();
  window.addEventListener("hashchange", follow);

  $("v-image").addEventListener("change", () => {
    state.image = Number($("v-image").value);
    fillMethods();
    load();
  });
  chosen.left.addEventListener("change", load);
  chosen.right.addEventListener("change", load);
  $("v-mode").addEventListener("change", draw);
  $("v-in").addEventListener("click", () => zoomTo(state.zoom + 1));
  $("v-out").addEventListener("click", () => zoomTo(state.zoom - 1));
  $("v-slider").addEventListener("input", () => {
    state.line = Number($("v-slider").value) / 1000;
    draw();
  });

  // dragging moves the line; with Shift, the right button, or side by side, it moves both images
  let drag = null;
  stage.addEventListener("pointerdown", (event) => {
    const moves = event.shiftKey || event.button === 2 || $("v-mode").value === "beside";
    drag = { moves, x: event.clientX, y: event.clientY };
    stage.setPointerCapture(event.pointerId);
    if (!moves) moveLine(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drag) return;
    if (!drag.moves) return moveLine(event);
    const ratio = window.devicePixelRatio || 1;
    state.x += (event.clientX - drag.x) * ratio;
    state.y += (event.clientY - drag.y) * ratio;
    drag.x = event.clientX;
    drag.y = event.clientY;
    draw();
  });
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => { drag = null; });
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    const amount = event.deltaY || event.deltaX;
    if (event.ctrlKey) return zoomTo(state.zoom + (amount < 0 ? 1 : -1), event.clientX, event.clientY);
    state.y -= amount;
    draw();
  }, { passive: false });
  stage.addEventListener("keydown", (event) => {
    const step = 40 * (window.devicePixelRatio || 1);
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (moves) {
      state.x += moves[0];
      state.y += moves[1];
      draw();
    } else if (event.key === "+" || event.key === "=") zoomTo(state.zoom + 1);
    else if (event.key === "-") zoomTo(state.zoom - 1);
    else return;
    event.preventDefault();
  });

  function moveLine(event) {
    const box = stage.getBoundingClientRect();
    state.line = clamp((event.clientX - box.left) / box.width, 0, 1);
    $("v-slider").value = Math.round(state.line * 1000);
    draw();
  }

  window.addEventListener("resize", draw);
})();
