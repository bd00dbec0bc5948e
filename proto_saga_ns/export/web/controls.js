/** Mouse, touch and keys move the camera; a click that moves nothing is a click on something. */
/** @import { Pose, Vec3 } from "./types.js" */
import { look, moved, orbit, zoomed } from "./camera.js";

const TURN = Math.PI; // a drag across the height of the picture
const CLICK = 5; // pixels that a finger may slip
const WHEEL = 0.0015; // zoom for a pixel of the wheel
const FLY = 0.9; // distances of the pivot in a second
const LOOK_KEYS = 1.2; // radians in a second

/**
 * @typedef {Object} Wants  what the page does when it is told
 * @property {() => Pose} pose
 * @property {Vec3} up
 * @property {(pose: Pose) => void} move
 * @property {(x: number, y: number, adds: boolean) => void} click  CSS pixels of the canvas
 * @property {(x: number, y: number) => void} focus
 * @property {(x: number, y: number) => void} hover
 * @property {() => void} leave
 */

export class Controls {
  /** @param {HTMLElement} area @param {Wants} wants */
  constructor(area, wants) {
    this.area = area;
    this.wants = wants;
    this.looksAround = false;
    /** @type {Map<number, {x: number, y: number}>} */
    this.fingers = new Map();
    this.slipped = 0;
    /** @type {Set<string>} */
    this.keys = new Set();
    area.addEventListener("pointerdown", (event) => this.down(event));
    area.addEventListener("pointermove", (event) => this.moveTo(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      area.addEventListener(name, (event) => this.up(event));
    }
    area.addEventListener("pointerleave", () => wants.leave());
    area.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    area.addEventListener("contextmenu", (event) => event.preventDefault());
    area.addEventListener("dblclick", (event) => wants.focus(event.offsetX, event.offsetY));
    window.addEventListener("keyup", (event) => this.keys.delete(event.code));
    window.addEventListener("blur", () => this.keys.clear());
  }

  /** @param {PointerEvent} event */
  down(event) {
    this.area.setPointerCapture(event.pointerId);
    if (this.fingers.size === 0) this.slipped = 0;
    else this.slipped = Infinity; // two fingers are no click
    this.fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.area.focus({ preventScroll: true });
  }

  /** @param {PointerEvent} event */
  moveTo(event) {
    const finger = this.fingers.get(event.pointerId);
    if (!finger) {
      if (event.pointerType !== "touch") this.wants.hover(event.offsetX, event.offsetY);
      return;
    }
    const [dx, dy] = [event.offsetX - finger.x, event.offsetY - finger.y];
    this.slipped += Math.hypot(dx, dy);
    if (this.slipped <= CLICK && this.fingers.size === 1) return;
    const others = [...this.fingers].filter(([id]) => id !== event.pointerId).map(([, other]) => other);
    if (others.length === 0) this.drag(dx, dy, event);
    else this.pinch(finger, others[0], dx, dy);
    finger.x = event.offsetX;
    finger.y = event.offsetY;
  }

  /** @param {number} dx @param {number} dy @param {PointerEvent} event */
  drag(dx, dy, event) {
    const { pose, up, move } = this.wants;
    const angle = TURN / this.area.clientHeight;
    if (event.buttons & 6 || event.shiftKey) this.pan(dx, dy);
    else if (this.looksAround) move(look(pose(), up, 0.6 * dx * angle, 0.6 * dy * angle));
    else move(orbit(pose(), up, -dx * angle, -dy * angle));
  }

  /** @param {number} dx @param {number} dy  CSS pixels; what lies at the pivot's distance stays under the pointer */
  pan(dx, dy) {
    const pose = this.wants.pose();
    const size = (2 * pose.distance * Math.tan(pose.fov / 2)) / this.area.clientHeight;
    this.wants.move(moved(pose, -dx * size, -dy * size, 0));
  }

  /** @param {{x: number, y: number}} finger @param {{x: number, y: number}} other @param {number} dx @param {number} dy */
  pinch(finger, other, dx, dy) {
    const before = Math.hypot(finger.x - other.x, finger.y - other.y);
    const after = Math.hypot(finger.x + dx - other.x, finger.y + dy - other.y);
    if (before > 0 && after > 0) this.wants.move(zoomed(this.wants.pose(), before / after));
    this.pan(dx / 2, dy / 2);
  }

  /** @param {PointerEvent} event */
  up(event) {
    const finger = this.fingers.get(event.pointerId);
    this.fingers.delete(event.pointerId);
    if (finger && event.type === "pointerup" && this.slipped <= CLICK && event.button === 0) {
      this.wants.click(finger.x, finger.y, event.ctrlKey || event.metaKey || event.shiftKey);
    }
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * [1, 16, this.area.clientHeight][event.deltaMode];
    const factor = Math.exp(Math.max(-0.5, Math.min(WHEEL * pixels, 0.5)));
    const pose = this.wants.pose();
    this.wants.move(
      this.looksAround ? moved(pose, 0, 0, (1 - factor) * pose.distance) : zoomed(pose, factor),
    );
  }

  /** Whether a key moves the camera; it does until it is released. @param {KeyboardEvent} event */
  takesKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.code in MOVES)) return false;
    this.keys.add(event.code);
    return true;
  }

  get isFlying() {
    return this.keys.size > 0;
  }

  /** Moves by the keys that are held. @param {number} seconds @param {boolean} fast */
  fly(seconds, fast) {
    let pose = this.wants.pose();
    const sum = [0, 0, 0, 0, 0];
    for (const key of this.keys) MOVES[key]?.forEach((part, i) => (sum[i] += part));
    const step = FLY * pose.distance * seconds * (fast ? 3 : 1);
    pose = moved(pose, step * sum[0], step * sum[1], step * sum[2]);
    if (sum[3] || sum[4]) {
      const angle = LOOK_KEYS * seconds;
      const turn = this.looksAround ? look : orbit;
      pose = turn(pose, this.wants.up, -angle * sum[3], -angle * sum[4]);
    }
    this.wants.move(pose);
  }
}

/** @type {Record<string, number[]>}  right, down, forward, turn right, turn down */
const MOVES = {
  KeyW: [0, 0, 1, 0, 0],
  KeyS: [0, 0, -1, 0, 0],
  KeyA: [-1, 0, 0, 0, 0],
  KeyD: [1, 0, 0, 0, 0],
  KeyQ: [0, 1, 0, 0, 0],
  KeyE: [0, -1, 0, 0, 0],
  ArrowLeft: [0, 0, 0, -1, 0],
  ArrowRight: [0, 0, 0, 1, 0],
  ArrowUp: [0, 0, 0, 0, -1],
  ArrowDown: [0, 0, 0, 0, 1],
};
