/** Opens the page: what the list, the camera and the keys do with each other. */
/** @import { Frame, Pose, SceneJson, ThingJson, Vec3 } from "./types.js" */
import { apiOf } from "./api.js";
import { add, axes, poseOfView } from "./camera.js";
import { Controls } from "./controls.js";
import { linkOf, readLink } from "./link.js";
import { Objects } from "./objects.js";
import { Panel, Tip, button, part, say } from "./panel.js";
import { Stage } from "./stage.js";
import { bytesOfBase64, unpack } from "./unpack.js";

/** @type {Record<string, Vec3>} */
const BACKGROUNDS = { light: [0.925, 0.933, 0.941], dark: [0.055, 0.059, 0.071] };
const HOVER_MS = 40;
const NARROW = 720;

export class Page {
  constructor() {
    /** @type {SceneJson} */
    this.scene = JSON.parse(part("scene-data", HTMLScriptElement).text);
    const packed = part("gaussian-data", HTMLScriptElement);
    const gaussians = unpack(bytesOfBase64(packed.text), this.scene.count);
    packed.remove();
    this.objects = new Objects(this.scene);
    this.canvas = part("picture", HTMLCanvasElement);
    this.stage = new Stage(this.canvas, this.scene, gaussians, this.objects, say);
    this.panel = new Panel(this.objects, {
      choose: (id, adds) => this.choose(id, adds),
      frame: () => this.frame(),
      folded: () => this.layOut(),
      say,
    });
    this.tip = new Tip();
    this.controls = this.makeControls();
    this.stage.step = (seconds) => {
      if (this.controls.isFlying) this.controls.fly(seconds, this.isFast);
      return this.controls.isFlying;
    };
    this.isFast = false;
    this.hoverTimer = 0;
    this.hoverDelay = HOVER_MS;
    /** @type {Pose | null} */
    this.before = null;
    this.objects.changed = () => this.refresh();
    this.objects.hoverChanged = () => this.stage.takeLooks();
    this.wireButtons();
    this.makeViews();
    this.setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    matchMedia("(prefers-color-scheme: dark)").onchange = ({ matches }) => this.setTheme(matches ? "dark" : "light");
    window.addEventListener("hashchange", () => this.readAddress());
    window.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("keyup", (event) => (this.isFast = event.shiftKey));
    window.addEventListener("resize", () => this.layOut());
    if (innerWidth <= NARROW) button("fold").click();
    this.layOut();
    this.stage.move(this.poseOf(0));
    this.readAddress();
    this.refresh();
  }

  makeControls() {
    const { stage } = this;
    return new Controls(this.canvas, {
      pose: () => stage.pose,
      up: this.scene.up,
      move: (pose) => {
        this.tip.show(null);
        stage.move(pose);
      },
      click: (x, y, adds) => this.click(x, y, adds),
      focus: (x, y) => this.focus(x, y),
      hover: (x, y) => this.hoverSoon(x, y),
      leave: () => this.leave(),
    });
  }

  /** The part of the picture that the panel leaves free. @returns {Frame} */
  get free() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const panel = part("panel", HTMLElement).getBoundingClientRect();
    if (innerWidth <= NARROW) return { left: 0, top: 0, width, height: Math.max(panel.top, height / 4) };
    const isFolded = part("panel", HTMLElement).classList.contains("is-folded");
    return { left: 0, top: 0, width: isFolded ? width : panel.left, height };
  }

  /** The camera looks to the middle of what is free. */
  layOut() {
    const { left, top, width, height } = this.free;
    const { clientWidth, clientHeight } = this.canvas;
    this.stage.setCenter([(left + width / 2) / clientWidth, (top + height / 2) / clientHeight]);
  }

  refresh() {
    this.stage.takeLooks();
    this.panel.refresh();
  }

  /** @param {number} x @param {number} y @returns {ThingJson | null}  what a pixel shows */
  thingAt(x, y) {
    const { weights, alpha } = this.stage.pixel(x, y);
    return alpha < this.scene.minAlpha ? null : this.objects.decide(weights);
  }

  /** @param {number} x @param {number} y @param {boolean} adds */
  click(x, y, adds) {
    const thing = this.thingAt(x, y);
    if (thing) this.choose(thing.id, adds);
    else if (!adds) this.objects.select([]);
  }

  /** @param {number} id @param {boolean} adds */
  choose(id, adds) {
    if (adds) this.objects.toggle(id);
    else this.objects.select([id]);
    this.panel.reveal(id);
  }

  /** @param {number} x @param {number} y */
  hoverSoon(x, y) {
    this.at = { x, y };
    if (this.hoverTimer) return;
    this.hoverTimer = setTimeout(() => {
      this.hoverTimer = 0;
      if (!this.at || this.controls.fingers.size) return;
      const start = performance.now();
      const thing = this.thingAt(this.at.x, this.at.y);
      this.hoverDelay = Math.max(HOVER_MS, 4 * (performance.now() - start)); // a large scene takes its time
      this.objects.hover(thing?.id ?? null);
      this.tip.show(thing, this.at.x, this.at.y);
    }, this.hoverDelay);
  }

  leave() {
    this.at = null;
    this.objects.hover(null);
    this.tip.show(null);
  }

  /** Turn about a point from now on. @param {number} x @param {number} y */
  focus(x, y) {
    const point = this.stage.point(x, y);
    if (point) this.comeTo(point, 0.7 * this.stage.pixel(x, y).depth);
  }

  /** Come near to what is selected. */
  frame() {
    const ball = this.selectedBall();
    if (ball) this.comeTo(ball.center, Math.max((1.4 * ball.radius) / Math.tan(this.stage.pose.fov / 2), 0.05));
  }

  /** @param {Vec3} point @param {number} distance */
  comeTo(point, distance) {
    const { pose } = this.stage;
    this.before = pose;
    this.stage.fly({ ...pose, distance, position: add(point, axes(pose.rotation)[2], -distance) });
  }

  /** The middle of what is selected, and how far its Gaussians are from it (root mean square, half as much again). */
  selectedBall() {
    const { positions, rows, count } = this.stage.gaussians;
    const { ids, seen } = this.scene.rows;
    const counts = ids.map((unit, row) => seen[row] === 1 && this.objects.selected.has(unit));
    const sums = [0, 0, 0, 0];
    let n = 0;
    for (let i = 0; i < count; i++) {
      if (!counts[rows[i]]) continue;
      n++;
      for (let axis = 0; axis < 3; axis++) {
        sums[axis] += positions[3 * i + axis];
        sums[3] += positions[3 * i + axis] ** 2;
      }
    }
    if (n === 0) return null;
    /** @type {Vec3} */
    const center = [sums[0] / n, sums[1] / n, sums[2] / n];
    const square = sums[3] / n - center[0] ** 2 - center[1] ** 2 - center[2] ** 2;
    return { center, radius: 1.5 * Math.sqrt(Math.max(square, 0)) };
  }

  /** @param {number} index @returns {Pose}  of a view, turning about what is in its middle */
  poseOf(index) {
    const { clientHeight } = this.canvas;
    const pose = poseOfView(this.scene.views[index], this.free, clientHeight, this.stage.pose.distance);
    return { ...pose, distance: this.stage.distanceFrom(pose) };
  }

  /** @param {number} index */
  showView(index) {
    if (!(index in this.scene.views)) return;
    this.before = this.stage.pose;
    this.stage.fly(this.poseOf(index));
    this.openViews(false);
  }

  makeViews() {
    const menu = part("views", HTMLDivElement);
    this.scene.views.forEach((view, index) => {
      const made = document.createElement("button");
      made.type = "button";
      made.setAttribute("role", "menuitem");
      const key = document.createElement("kbd");
      key.textContent = String(index + 1);
      const name = document.createElement("span");
      name.textContent = view.name;
      made.append(key, name);
      made.onclick = () => this.showView(index);
      menu.append(made);
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Node && !menu.contains(target) && !button("views-button").contains(target)) {
        this.openViews(false);
      }
    });
  }

  /** @param {boolean} open */
  openViews(open) {
    part("views", HTMLDivElement).hidden = !open;
    button("views-button").setAttribute("aria-expanded", String(open));
  }

  wireButtons() {
    button("views-button").onclick = () => this.openViews(part("views", HTMLDivElement).hidden !== false);
    button("look").onclick = () => this.toggleLook();
    button("link").onclick = () => this.copyLink();
    button("theme").onclick = () => this.setTheme(this.theme === "dark" ? "light" : "dark");
    button("help-button").onclick = () => part("help", HTMLDialogElement).showModal();
    button("help-close").onclick = () => part("help", HTMLDialogElement).close();
  }

  toggleLook() {
    this.controls.looksAround = !this.controls.looksAround;
    button("look").setAttribute("aria-pressed", String(this.controls.looksAround));
    say(this.controls.looksAround ? "Dragging looks around." : "Dragging turns the scene.");
  }

  /** @param {string} theme */
  setTheme(theme) {
    this.theme = theme;
    document.documentElement.dataset.theme = theme;
    this.stage.setBackground(BACKGROUNDS[theme]);
  }

  async copyLink() {
    history.replaceState(null, "", linkOf(this.stage.pose, this.objects));
    try {
      await navigator.clipboard.writeText(location.href);
      say("The link is copied: it opens this view, with what is selected and hidden.");
    } catch {
      say("The address of the page is the link now: copy it from there.");
    }
  }

  readAddress() {
    const pose = readLink(location.hash, this.objects);
    if (pose) this.stage.move(pose);
    this.refresh();
  }

  /** @param {number} step  1: finer */
  changeLevel(step) {
    const { levels, level } = this.objects;
    const next = levels[levels.indexOf(level) + step];
    if (next) this.objects.setLevel(next.name);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    this.isFast = event.shiftKey;
    const isWriting = event.target instanceof HTMLInputElement && event.target.type === "search";
    if (event.key === "Escape") this.escape(isWriting === true);
    if (isWriting || event.ctrlKey || event.metaKey || event.altKey) return;
    if (part("help", HTMLDialogElement).open) return;
    const isSlider = event.target instanceof HTMLInputElement && event.key.startsWith("Arrow");
    if (!isSlider && this.controls.takesKey(event)) {
      if (event.key.startsWith("Arrow")) event.preventDefault();
      this.stage.flight = null;
      this.stage.ask();
      return;
    }
    const action = this.keys[event.key.toLowerCase()];
    if (action) {
      event.preventDefault();
      action();
    } else if (/^[1-9]$/.test(event.key)) {
      this.showView(Number(event.key) - 1);
    }
  }

  /** @param {boolean} isWriting */
  escape(isWriting) {
    if (isWriting) this.canvas.focus();
    else if (!part("views", HTMLDivElement).hidden) this.openViews(false);
    else if (!part("help", HTMLDialogElement).open) this.objects.select([]);
  }

  /** @returns {Record<string, () => void>} */
  get keys() {
    return {
      h: () => button("hide").click(),
      i: () => button("isolate").click(),
      u: () => button("show-all").click(),
      f: () => this.frame(),
      r: () => this.before && this.comeBack(this.before),
      c: () => part("paints", HTMLInputElement).click(),
      g: () => this.toggleLook(),
      k: () => void this.copyLink(),
      t: () => button("theme").click(),
      "[": () => this.changeLevel(-1),
      "]": () => this.changeLevel(1),
      "?": () => button("help-button").click(),
      "/": () => {
        if (part("panel", HTMLElement).classList.contains("is-folded")) button("fold").click();
        this.panel.search.focus();
      },
    };
  }

  /** @param {Pose} pose  where the camera was before it flew */
  comeBack(pose) {
    this.before = this.stage.pose;
    this.stage.fly(pose);
  }
}

const opening = part("opening", HTMLElement);
// The browser paints what is there before it unpacks millions of numbers.
requestAnimationFrame(() => setTimeout(open));

async function open() {
  try {
    const page = new Page();
    Object.assign(window, { scene: apiOf(page) });
    await page.stage.settled();
    opening.hidden = true;
  } catch (error) {
    opening.textContent = error instanceof Error ? error.message : String(error);
    opening.classList.add("failed");
    throw error;
  }
}
