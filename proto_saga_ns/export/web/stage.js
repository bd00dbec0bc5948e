/** The camera before the scene: draws when something has changed, and coarser while it moves if that takes long. */
/** @import { Gaussians, Pose, SceneJson, Vec3 } from "./types.js" */
/** @import { Objects } from "./objects.js" */
/** @import { Pixel } from "./pick.js" */
import { add, axes, between, lensOf } from "./camera.js";
import { pixelAt } from "./pick.js";
import { Renderer } from "./renderer.js";
import { Sorter } from "./sort.js";

const MOST_PIXELS_RATIO = 2; // pixels of the screen for one of CSS, at most
const SLOW = 30; // milliseconds of a frame, beyond which moving pictures are coarser
const QUICK = 18;
const COARSEST = 0.35;
const REST_MS = 160; // milliseconds without motion, after which the picture is fine again
const FLIGHT = 700; // milliseconds from view to view

export class Stage {
  /**
   * @param {HTMLCanvasElement} canvas @param {SceneJson} scene @param {Gaussians} gaussians @param {Objects} objects
   * @param {(text: string) => void} say
   */
  constructor(canvas, scene, gaussians, objects, say) {
    this.canvas = canvas;
    this.scene = scene;
    this.gaussians = gaussians;
    this.objects = objects;
    this.renderer = new Renderer(canvas, gaussians, scene.antialiased);
    /** @type {Pose} */
    this.pose = { position: [0, 0, 0], rotation: [1, 0, 0, 0], distance: 1, fov: 1 };
    /** @type {{from: Pose, to: Pose, start: number} | null} */
    this.flight = null;
    /** @type {(seconds: number) => boolean} */
    this.step = () => false; // whatever else moves the camera; true while it does
    /** @type {[number, number]} */
    this.center = [0.5, 0.5]; // where the camera looks to, shares of the picture
    this.coarseness = 1;
    this.lastMove = -Infinity;
    this.lastFrame = 0;
    this.moved = false; // in the frame before
    this.isStale = true; // something has changed since the picture was drawn
    this.drawn = 0; // how coarse the picture is; 1 is fine
    this.isAsked = false;
    this.hasOrder = false;
    this.sorted = "";
    /** @type {(() => void)[]} */
    this.waiting = [];
    this.sorter = new Sorter(
      gaussians.positions,
      (order) => {
        this.renderer.setOrder(order);
        this.hasOrder = true;
        this.ask();
      },
      (reason) => say(`This browser allows no worker (${reason}): turning the scene will be slow.`),
    );
    new ResizeObserver(() => this.ask()).observe(canvas);
    canvas.addEventListener("webglcontextlost", () => say("The graphics card gave up. Reload the page."));
    this.takeLooks();
  }

  /** Draws what the objects say now. */
  takeLooks() {
    const looks = this.objects.looks();
    this.hiddenRows = Uint8Array.from(looks, (look) => Number(look.hidden));
    this.renderer.overlay = this.objects.overlay;
    this.renderer.setTable(looks);
    this.ask();
  }

  /** @param {[number, number]} center  shares of the picture */
  setCenter(center) {
    this.center = center;
    this.ask();
  }

  /** @param {Vec3} color  0 to 1 */
  setBackground(color) {
    this.renderer.background = color;
    this.ask();
  }

  /** @param {Pose} pose */
  move(pose) {
    this.flight = null;
    this.place(pose);
  }

  /** @param {Pose} pose */
  place(pose) {
    this.pose = pose;
    this.lastMove = performance.now();
    this.ask();
  }

  /** @param {Pose} pose  where to, smoothly */
  fly(pose) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.move(pose);
      return;
    }
    this.flight = { from: this.pose, to: pose, start: performance.now() };
    this.ask();
  }

  /** Draw soon. */
  ask() {
    this.isStale = true;
    this.schedule();
  }

  schedule() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame((now) => this.frame(now));
  }

  /** @param {number} now */
  frame(now) {
    this.isAsked = false;
    const elapsed = Math.min(now - this.lastFrame, 100);
    this.lastFrame = now;
    this.advance(now);
    const moves = this.step(elapsed / 1000) || this.flight !== null;
    const rests = !moves && performance.now() - this.lastMove > REST_MS;
    if (!rests && this.moved) this.adapt(elapsed);
    this.moved = !rests;
    this.order();
    if (this.hasOrder && (this.isStale || (rests && this.drawn < 1))) this.draw(rests ? 1 : this.coarseness);
    if (!rests || !this.hasOrder) this.schedule();
    else if (!this.sorter.isBusy) this.waiting.splice(0).forEach((resolve) => resolve());
  }

  /** @param {number} now */
  advance(now) {
    if (!this.flight) return;
    const { from, to, start } = this.flight;
    const share = Math.min((now - start) / FLIGHT, 1);
    this.place(share >= 1 ? to : between(from, to, share * share * (3 - 2 * share)));
    if (share >= 1) this.flight = null;
  }

  /** @param {number} elapsed  milliseconds since the frame before */
  adapt(elapsed) {
    if (elapsed > SLOW) this.coarseness = Math.max(this.coarseness * 0.9, COARSEST);
    else if (elapsed < QUICK) this.coarseness = Math.min(this.coarseness * 1.03, 1);
  }

  /** Sorts for where the camera is now. */
  order() {
    const row = lensOf(this.pose, 1, 1).rows.slice(8);
    const key = row.join();
    if (key === this.sorted) return;
    this.sorted = key;
    this.sorter.sort(row);
  }

  /** @param {number} coarseness  share of the screen's pixels along a side */
  draw(coarseness) {
    const ratio = Math.min(devicePixelRatio, MOST_PIXELS_RATIO);
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) =>
      Math.max(Math.round(side * ratio), 1),
    );
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const [w, h] = [width, height].map((side) => Math.max(Math.round(side * coarseness), 1));
    this.renderer.draw(lensOf(this.pose, w, h, this.center));
    this.isStale = false;
    this.drawn = coarseness;
  }

  /** When the picture shows all that was asked for, at its finest. @returns {Promise<void>} */
  settled() {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.schedule();
    });
  }

  /**
   * @param {number} x  CSS pixels of the canvas @param {number} y @param {Pose} [pose] @returns {Pixel}
   */
  pixel(x, y, pose = this.pose) {
    const { width, height, clientWidth, clientHeight } = this.canvas;
    const px = Math.floor((x * width) / clientWidth) + 0.5;
    const py = Math.floor((y * height) / clientHeight) + 0.5;
    const hidden = this.hiddenRows ?? new Uint8Array(0);
    return pixelAt(this.gaussians, lensOf(pose, width, height, this.center), this.scene.antialiased, hidden, px, py);
  }

  /** How far what is in the middle of the picture is from a pose. @param {Pose} pose */
  distanceFrom(pose) {
    const { clientWidth, clientHeight } = this.canvas;
    const { depth } = this.pixel(this.center[0] * clientWidth, this.center[1] * clientHeight, pose);
    return Number.isNaN(depth) ? pose.distance : depth;
  }

  /** A point of the scene that a pixel shows. @param {number} x @param {number} y @returns {Vec3 | null} */
  point(x, y) {
    const { depth } = this.pixel(x, y);
    if (Number.isNaN(depth)) return null;
    const { clientWidth, clientHeight } = this.canvas;
    const { focal, cx, cy } = lensOf(this.pose, clientWidth, clientHeight, this.center);
    const [right, down, forward] = axes(this.pose.rotation);
    const across = add(this.pose.position, right, ((x - cx) / focal) * depth);
    return add(add(across, down, ((y - cy) / focal) * depth), forward, depth);
  }
}
