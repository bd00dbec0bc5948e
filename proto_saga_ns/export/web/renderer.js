/** Draws Gaussians in their order with WebGL 2, and a line around what is selected. */
/** @import { Gaussians, Lens, Vec3 } from "./types.js" */
import {
  GAUSSIAN_FRAGMENT,
  GAUSSIAN_VERTEX,
  LOG_STEPS,
  SCREEN_FRAGMENT,
  SCREEN_VERTEX,
  TABLE_WIDTH,
  TEXTURE_WIDTH,
} from "./shaders.js";

const LINE = 2; // pixels at a zoom of 1

/**
 * @typedef {Object} RowLook  one row of the table
 * @property {Vec3} color  0 to 255
 * @property {number} strength  of that colour, 0 to 1
 * @property {boolean} hidden
 * @property {boolean} selected
 * @property {boolean} hovered
 *
 * @typedef {Object} Target  a picture of the scene before it is on the screen
 * @property {WebGLFramebuffer} frame
 * @property {WebGLTexture} light
 * @property {WebGLTexture} marks
 */

export class Renderer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Gaussians} gaussians
   * @param {boolean} antialiased
   */
  constructor(canvas, gaussians, antialiased) {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    if (!gl) throw new Error("This browser shows no WebGL 2. Switch on hardware acceleration, or use another browser.");
    this.canvas = canvas;
    this.gl = gl;
    this.antialiased = antialiased;
    this.count = gaussians.count;
    this.overlay = 0;
    /** @type {Vec3} */
    this.background = [0, 0, 0];
    this.hasMarks = false;
    /** @type {Target | null} */
    this.target = null;
    this.targetSize = "";
    this.splats = program(gl, GAUSSIAN_VERTEX, GAUSSIAN_FRAGMENT);
    this.screen = program(gl, SCREEN_VERTEX, SCREEN_FRAGMENT);
    this.data = dataTexture(gl, gaussians);
    this.table = texture(gl);
    this.order = present(gl.createBuffer());
    this.arrays = this.vertexArrays();
  }

  vertexArrays() {
    const gl = this.gl;
    const corners = present(gl.createBuffer());
    const arrays = present(gl.createVertexArray());
    gl.bindVertexArray(arrays);
    gl.bindBuffer(gl.ARRAY_BUFFER, corners);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(CORNER);
    gl.vertexAttribPointer(CORNER, 2, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.order);
    gl.bufferData(gl.ARRAY_BUFFER, 4 * this.count, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(INDEX);
    gl.vertexAttribIPointer(INDEX, 1, gl.UNSIGNED_INT, 0, 0);
    gl.vertexAttribDivisor(INDEX, 1);
    return arrays;
  }

  /** @param {Uint32Array} order  the farthest first */
  setOrder(order) {
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.order);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, order);
  }

  /** @param {RowLook[]} rows */
  setTable(rows) {
    const gl = this.gl;
    const height = Math.max(Math.ceil((2 * rows.length) / TABLE_WIDTH), 1);
    const texels = new Uint8Array(4 * TABLE_WIDTH * height);
    rows.forEach((row, i) => {
      texels.set([...row.color, Math.round(255 * row.strength)], 8 * i);
      texels.set([row.hidden, row.selected, row.hovered, false].map((flag) => (flag ? 255 : 0)), 8 * i + 4);
    });
    this.hasMarks = rows.some((row) => row.selected || row.hovered);
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, TABLE_WIDTH, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
  }

  /**
   * @param {Lens} lens  of the size in which the scene is drawn, which the screen may enlarge
   */
  draw(lens) {
    const gl = this.gl;
    const target = this.targetOf(lens.width, lens.height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
    gl.drawBuffers([gl.COLOR_ATTACHMENT0, this.hasMarks ? gl.COLOR_ATTACHMENT1 : gl.NONE]);
    gl.viewport(0, 0, lens.width, lens.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.bindVertexArray(this.arrays);
    this.drawGaussians(lens);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    this.drawScreen(target, lens);
  }

  /** @param {Lens} lens */
  drawGaussians(lens) {
    const gl = this.gl;
    const { program, at } = this.splats;
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    bind(gl, 0, this.data);
    bind(gl, 1, this.table);
    gl.uniform1i(at("gaussians"), 0);
    gl.uniform1i(at("table"), 1);
    gl.uniform4fv(at("toCamera"), lens.rows);
    gl.uniform3f(at("lens"), lens.focal, lens.width, lens.height);
    gl.uniform2f(at("center"), lens.cx, lens.cy);
    gl.uniform1i(at("antialiased"), Number(this.antialiased));
    gl.uniform1f(at("overlay"), this.overlay);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.count);
    gl.disable(gl.BLEND);
  }

  /** @param {Target} target @param {Lens} lens */
  drawScreen(target, lens) {
    const gl = this.gl;
    const { program, at } = this.screen;
    gl.useProgram(program);
    bind(gl, 0, target.light);
    bind(gl, 1, target.marks);
    gl.uniform1i(at("scene"), 0);
    gl.uniform1i(at("marks"), 1);
    gl.uniform3f(at("background"), ...this.background);
    gl.uniform1i(at("hasMarks"), Number(this.hasMarks));
    gl.uniform1f(at("lineWidth"), LINE * (this.canvas.width / Math.max(this.canvas.clientWidth, 1)));
    gl.uniform2f(at("zoom"), lens.width / this.canvas.width, lens.height / this.canvas.height);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  /** @param {number} width @param {number} height @returns {Target} */
  targetOf(width, height) {
    const gl = this.gl;
    const size = `${width} ${height}`;
    if (this.target && this.targetSize === size) return this.target;
    if (this.target) {
      gl.deleteTexture(this.target.light);
      gl.deleteTexture(this.target.marks);
      gl.deleteFramebuffer(this.target.frame);
    }
    const frame = present(gl.createFramebuffer());
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    const [light, marks] = [gl.COLOR_ATTACHMENT0, gl.COLOR_ATTACHMENT1].map((attachment) => {
      const made = texture(gl, gl.LINEAR);
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA8, width, height);
      gl.framebufferTexture2D(gl.FRAMEBUFFER, attachment, gl.TEXTURE_2D, made, 0);
      return made;
    });
    this.targetSize = size;
    this.target = { frame, light, marks };
    return this.target;
  }
}

const CORNER = 0;
const INDEX = 1;

/**
 * @template T
 * @param {T | null} made @returns {T}
 */
function present(made) {
  if (made === null) throw new Error("The graphics card gave up. Reload the page.");
  return made;
}

/** @param {WebGL2RenderingContext} gl @param {string} vertex @param {string} fragment */
function program(gl, vertex, fragment) {
  const made = present(gl.createProgram());
  for (const [kind, text] of /** @type {const} */ ([
    [gl.VERTEX_SHADER, vertex],
    [gl.FRAGMENT_SHADER, fragment],
  ])) {
    const shader = present(gl.createShader(kind));
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.bindAttribLocation(made, CORNER, "corner");
  gl.bindAttribLocation(made, INDEX, "index");
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) {
    const logs = (gl.getAttachedShaders(made) ?? []).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error(`A shader does not compile here: ${gl.getProgramInfoLog(made)} ${logs.join(" ")}`);
  }
  /** @type {Map<string, WebGLUniformLocation | null>} */
  const known = new Map();
  /** @param {string} name */
  const at = (name) => {
    if (!known.has(name)) known.set(name, gl.getUniformLocation(made, name));
    return known.get(name) ?? null;
  };
  return { program: made, at };
}

/** @param {WebGL2RenderingContext} gl @param {number} [filter] */
function texture(gl, filter = gl.NEAREST) {
  const made = present(gl.createTexture());
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  return made;
}

/** @param {WebGL2RenderingContext} gl @param {number} unit @param {WebGLTexture} what */
function bind(gl, unit, what) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, what);
}

/**
 * Two texels of four whole numbers a Gaussian: x, y, z (bits of floats), RGBA; rotation, scales and row.
 * @param {WebGL2RenderingContext} gl @param {Gaussians} gaussians
 */
function dataTexture(gl, gaussians) {
  const height = Math.max(Math.ceil((2 * gaussians.count) / TEXTURE_WIDTH), 1);
  const texels = new Uint32Array(4 * TEXTURE_WIDTH * height);
  const floats = new Float32Array(texels.buffer);
  const { positions, logScales, rotations, colors, opacities, rows } = gaussians;
  for (let i = 0; i < gaussians.count; i++) {
    for (let axis = 0; axis < 3; axis++) floats[8 * i + axis] = positions[3 * i + axis];
    const [r, g, b] = [colors[3 * i], colors[3 * i + 1], colors[3 * i + 2]];
    texels[8 * i + 3] = r | (g << 8) | (b << 16) | (opacities[i] << 24);
    texels[8 * i + 4] = rotations[i];
    const steps = [0, 1, 2].map((axis) => Math.round((logScales[3 * i + axis] + 16) * LOG_STEPS));
    texels[8 * i + 5] = steps[0] | (steps[1] << 16);
    texels[8 * i + 6] = steps[2] | (rows[i] << 16);
  }
  const made = texture(gl);
  const [width, kind] = [TEXTURE_WIDTH, gl.RGBA_INTEGER];
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32UI, width, height, 0, kind, gl.UNSIGNED_INT, texels);
  return made;
}
