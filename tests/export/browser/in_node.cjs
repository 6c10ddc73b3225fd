// node in_node.cjs CASES.json RESULTS.json: checks models in Node.js.
const fs = require('fs');
const tf = require('@tensorflow/tfjs');
const { MusicVAE } = require('@magenta/music/node/music_vae');
const { checkModel } = require('./check_model.js');

async function main([casesFile, resultsFile]) {
  const cases = JSON.parse(fs.readFileSync(casesFile));
  const results = {};
  for (const [name, given] of Object.entries(cases)) {
    results[name] = await checkModel(MusicVAE, tf, given).catch(error => ({ error: `${error}` }));
  }
  fs.writeFileSync(resultsFile, JSON.stringify(results));
}

// The player's errors also come as rejections that nobody handles, which would end the process.
process.on('unhandledRejection', error => console.error(`${error}`));
main(process.argv.slice(2));
