/**
 * What Python writes into the page as JSON (content.py), and what the page keeps.
 *
 * Frames: world as in nerfstudio's training frame; camera as in OpenCV (x right, y down, z forward); pixels from the
 * upper left corner of the picture, centres at half-integers.
 *
 * @typedef {[number, number, number]} Vec3
 * @typedef {[number, number, number, number]} Quat  w, x, y, z
 * @typedef {"group" | "object" | "part"} LevelName
 *
 * @typedef {Object} ThingJson  a group, an object or a part
 * @property {number} id  of its level; no other thing of the level has it
 * @property {string} name
 * @property {Vec3} color  0 to 255
 * @property {number} count  Gaussians in the page
 * @property {number[]} units  ids of the finest level that it consists of
 *
 * @typedef {Object} ViewJson  a training view
 * @property {string} name
 * @property {Vec3} position
 * @property {Quat} rotation  camera to world
 * @property {number} width  pixels
 * @property {number} height
 * @property {number} focal  pixels
 *
 * @typedef {Object} SceneJson
 * @property {string} title
 * @property {number} count  of Gaussians in the page
 * @property {number} total  of the scene
 * @property {boolean} antialiased  how it was trained
 * @property {number} minAlpha  pixels that stop less light show nothing
 * @property {Vec3} up
 * @property {LevelName} level  that is shown first
 * @property {{ids: number[], seen: number[]}} rows  what Gaussians with a row are of, at the finest level (0: nothing)
 * @property {{name: LevelName, things: ThingJson[]}[]} levels  coarse before fine
 * @property {ViewJson[]} views  the first is where the page opens
 *
 * @typedef {Object} Gaussians  N of them, unpacked
 * @property {number} count  N
 * @property {Float32Array} positions  3 N
 * @property {Float32Array} logScales  3 N
 * @property {Uint32Array} rotations  N, packed
 * @property {Uint8Array} colors  3 N
 * @property {Uint8Array} opacities  N
 * @property {Uint16Array} rows  N
 * @property {Float32Array} chunks  4 a chunk: centre, and radius of a ball that holds all of its Gaussians' centres
 * @property {Float32Array} chunkScales  largest standard deviation of each chunk
 *
 * @typedef {Object} Pose  where a camera is
 * @property {Vec3} position
 * @property {Quat} rotation  camera to world, of unit length
 * @property {number} distance  of the point that it turns about, along its z axis
 * @property {number} fov  vertical angle of view, radians
 *
 * @typedef {Object} Lens  a camera as the shaders take it
 * @property {Float64Array} rows  world to camera, 3 rows of 4
 * @property {number} focal  pixels
 * @property {number} width  pixels
 * @property {number} height
 * @property {number} cx  pixels, where the camera's z axis goes through the picture
 * @property {number} cy
 *
 * @typedef {Object} Frame  the part of the picture that nothing lies over, CSS pixels
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 */

export {};
