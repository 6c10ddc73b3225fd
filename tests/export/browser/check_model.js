// What the player makes of an exported model. Runs in Node.js and in a page alike.

/* exported checkModel */

// Numbers as text, float32 and exact.
function packed(numbers) {
  const bytes = new Uint8Array(new Float32Array(numbers).buffer);
  let text = '';
  for (let start = 0; start < bytes.length; start += 8192) {
    text += String.fromCharCode(...bytes.subarray(start, start + 8192));
  }
  return btoa(text);
}

function controlsOf(tf, given) {
  const controls = { ...given };
  if (given.hits) {
    controls.extraControls = { hits: tf.tensor2d(given.hits) };
    delete controls.hits;
  }
  return Object.keys(controls).length ? controls : undefined;
}

// The case: where it is (url), inputs [B][T][D], or null and window [T, D], z [B][Z], controls.
async function checkModel(MusicVAE, tf, given) {
  const model = new MusicVAE(given.url);
  await model.initialize();
  const controls = controlsOf(tf, given.controls);
  const result = { mu: null, interpolated: null };
  if (given.inputs) {
    const mu = [];
    for (const input of given.inputs) {  // it encodes performances one at a time
      const z = await model.encodeTensors(tf.tensor3d([input], undefined, 'float32'), controls);
      mu.push(...await z.data());
    }
    result.mu = packed(mu);
  } else {
    const encoded = model.encodeTensors(tf.zeros([1, ...given.window]), controls);
    result.refused = await encoded.then(() => null, error => `${error}`);
  }
  const decoded = await model.decodeTensors(tf.tensor2d(given.z), undefined, controls);
  result.shape = decoded.shape;
  result.decoded = packed(await decoded.data());
  const stepsPerQuarter = model.dataConverter.stepsPerQuarter;
  const number = model.dataConverter.numSteps < 100 ? 4 : 2;  // long pieces take long
  const samples = await model.sample(number, 1, controls, stepsPerQuarter);
  result.sampled = samples.map(sample => sample.notes.length);
  if (given.interpolates) {
    for (const note of samples.flatMap(sample => sample.notes)) {
      note.startTime = Math.max(0, note.startTime || 0);  // early grooves; see the demo page
    }
      const between = await model.interpolate(samples, 2, undefined, controls);
    result.interpolated = between.map(piece => piece.notes.length);
  }
  model.dispose();
  return result;
}

if (typeof module !== 'undefined') module.exports = { checkModel };
