/** The GLSL of the page. */
import { BLUR, MARGIN, MAX_ALPHA, MIN_ALPHA, NEAR } from "./project.js";

export const TEXTURE_WIDTH = 2048; // two texels a Gaussian
export const TABLE_WIDTH = 512; // two texels a row
export const LOG_STEPS = 2048; // steps of a log scale in a unit

/** @param {number} value */
const float = (value) => value.toExponential(12);

/** A Gaussian as a square around what of it is at least 1/255 opaque. */
export const GAUSSIAN_VERTEX = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D gaussians;
uniform sampler2D table;
uniform vec4 toCamera[3];
uniform vec3 lens; // focal, width, height; pixels
uniform vec2 center; // pixels
uniform bool antialiased;
uniform float overlay;
in vec2 corner;
in uint index;
out vec2 place; // standard deviations
out vec4 color; // opacity last
flat out vec2 marks; // selected, hovered

mat3 rotationOf(uint packed) {
  int largest = int(packed >> 30);
  vec4 q;
  float rest = 1.0;
  int shift = 20;
  for (int i = 0; i < 4; i++) {
    if (i == largest) continue;
    q[i] = (float((packed >> shift) & 1023u) / 1023.0 - 0.5) * sqrt(2.0);
    rest -= q[i] * q[i];
    shift -= 10;
  }
  q[largest] = sqrt(max(rest, 0.0));
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
              2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
              2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

vec3 scalesOf(uint first, uint second) {
  vec3 steps = vec3(float(first & 65535u), float(first >> 16), float(second & 65535u));
  return exp(steps / ${float(LOG_STEPS)} - 16.0);
}

void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0); // outside
  int number = int(index);
  ivec2 at = ivec2((number % ${TEXTURE_WIDTH / 2}) * 2, number / ${TEXTURE_WIDTH / 2});
  uvec4 first = texelFetch(gaussians, at, 0);
  vec4 mean = vec4(uintBitsToFloat(first.xyz), 1.0);
  float z = dot(toCamera[2], mean);
  if (z <= ${float(NEAR)}) return;
  vec2 slope = vec2(dot(toCamera[0], mean), dot(toCamera[1], mean)) / z;
  vec2 margin = ${float(MARGIN / 2)} * lens.yz;
  uvec4 second = texelFetch(gaussians, at + ivec2(1, 0), 0);
  int row = int(second.z >> 16);
  ivec2 place2 = ivec2((row % ${TABLE_WIDTH / 2}) * 2, row / ${TABLE_WIDTH / 2});
  vec4 flags = texelFetch(table, place2 + ivec2(1, 0), 0);
  if (flags.r > 0.5) return;

  vec2 t = clamp(slope, -(center + margin) / lens.x, (lens.yz - center + margin) / lens.x);
  mat3 view = transpose(mat3(toCamera[0].xyz, toCamera[1].xyz, toCamera[2].xyz));
  mat3 root = view * rotationOf(second.x);
  vec3 scales = scalesOf(second.y, second.z);
  vec3 depths = scales * vec3(root[0].z, root[1].z, root[2].z);
  float zoom = lens.x / z;
  vec3 u = zoom * (scales * vec3(root[0].x, root[1].x, root[2].x) - t.x * depths);
  vec3 v = zoom * (scales * vec3(root[0].y, root[1].y, root[2].y) - t.y * depths);
  vec3 normal = cross(u, v); // Lagrange's identity, as in our kernels
  float before = dot(normal, normal);
  float xx = dot(u, u), yy = dot(v, v), xy = dot(u, v);
  float after = before + ${float(BLUR)} * (xx + yy) + ${float(BLUR * BLUR)};
  xx += ${float(BLUR)};
  yy += ${float(BLUR)};

  uvec4 bytes = (uvec4(first.w) >> uvec4(0, 8, 16, 24)) & 255u;
  vec4 rgba = vec4(bytes) / 255.0;
  float opacity = rgba.a * (antialiased ? sqrt(before / after) : 1.0);
  if (opacity < ${float(MIN_ALPHA)}) return;
  float middle = 0.5 * (xx + yy);
  float gap = sqrt(max(0.25 * (xx - yy) * (xx - yy) + xy * xy, 0.0));
  float larger = middle + gap;
  float smaller = after / larger;
  vec2 axis = xx > yy ? vec2(larger - yy, xy) : vec2(xy, larger - xx);
  axis = dot(axis, axis) > 0.0 ? normalize(axis) : vec2(1.0, 0.0);
  float reach = sqrt(2.0 * log(opacity * 255.0)) + 0.01;
  vec2 offset = reach * (corner.x * sqrt(larger) * axis + corner.y * sqrt(smaller) * vec2(-axis.y, axis.x));
  vec2 middleOfIt = slope * lens.x + center;
  vec2 beyond = abs(middleOfIt - 0.5 * lens.yz) - 0.5 * lens.yz - reach * sqrt(larger);
  if (max(beyond.x, beyond.y) > 0.0) return;
  vec2 clip = 2.0 * (middleOfIt + offset) / lens.yz - 1.0;
  gl_Position = vec4(clip.x, -clip.y, 0.0, 1.0);
  place = reach * corner;
  vec4 painted = texelFetch(table, place2, 0);
  color = vec4(mix(rgba.rgb, painted.rgb, overlay * painted.a), opacity);
  marks = flags.gb;
}
`;

/** Writes colours and, where there is a second picture, how much of the light is of what is selected or hovered. */
export const GAUSSIAN_FRAGMENT = `#version 300 es
precision highp float;
in vec2 place;
in vec4 color;
flat in vec2 marks;
layout(location = 0) out vec4 light;
layout(location = 1) out vec4 marked;
void main() {
  float alpha = min(color.a * exp(-0.5 * dot(place, place)), ${float(MAX_ALPHA)});
  if (alpha < ${float(MIN_ALPHA)}) discard;
  light = vec4(color.rgb * alpha, alpha);
  marked = vec4(marks * alpha, 0.0, alpha);
}
`;

export const SCREEN_VERTEX = `#version 300 es
in vec2 corner;
void main() { gl_Position = vec4(corner, 0.0, 1.0); }
`;

/** Lays the scene before its background and draws a line around what is selected: white outside, dark inside. */
export const SCREEN_FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D scene;
uniform sampler2D marks;
uniform vec3 background;
uniform bool hasMarks;
uniform float lineWidth; // pixels
uniform vec2 zoom; // pixels of the scene per pixel of the screen
out vec4 result;

vec2 marksAt(vec2 pixel) { return texture(marks, pixel * zoom / vec2(textureSize(marks, 0))).rg; }

void main() {
  vec4 light = texture(scene, gl_FragCoord.xy * zoom / vec2(textureSize(scene, 0)));
  vec3 color = light.rgb + (1.0 - light.a) * background;
  if (hasMarks) {
    vec2 own = marksAt(gl_FragCoord.xy);
    vec2 most = own, inner = own;
    for (int i = 0; i < 16; i++) {
      float angle = float(i) * 0.39269908;
      vec2 direction = vec2(cos(angle), sin(angle));
      most = max(most, marksAt(gl_FragCoord.xy + lineWidth * direction));
      inner = min(inner, marksAt(gl_FragCoord.xy + 0.6 * lineWidth * direction));
    }
    vec2 inside = smoothstep(0.42, 0.58, own);
    vec2 outline = smoothstep(0.42, 0.58, most) * (1.0 - inside);
    vec2 rim = inside * (1.0 - smoothstep(0.42, 0.58, inner));
    color = mix(color, vec3(1.0), 0.16 * inside.g * (1.0 - inside.r));
    color = mix(color, vec3(1.0), 0.75 * outline.g);
    color = mix(color, vec3(0.0), 0.85 * rim.r);
    color = mix(color, vec3(1.0), outline.r);
  }
  result = vec4(color, 1.0);
}
`;
