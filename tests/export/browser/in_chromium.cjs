// node in_chromium.cjs CASES.json RESULTS.json BLANK_PAGE_URL PLAYER_URL: checks models in a page.
const fs = require('fs');
const path = require('path');
const { withPage } = require('./chromium.cjs');

async function main([casesFile, resultsFile, blank, player]) {
  const cases = JSON.parse(fs.readFileSync(casesFile));
  const results = await withPage(async (page) => {
    await page.goto(blank);
    await page.addScriptTag({ url: player });
    await page.addScriptTag({ path: path.join(__dirname, 'check_model.js') });
    await page.evaluate(() => mm.tf.setBackend('cpu'));  // the other one is emulated here, and slow
    const found = {};
    for (const [name, given] of Object.entries(cases)) {
      found[name] = await page
        .evaluate(one => checkModel(mm.MusicVAE, mm.tf, one), given)
        .catch(error => ({ error: `${error}` }));
    }
    return found;
  });
  fs.writeFileSync(resultsFile, JSON.stringify(results));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`${error}`);
  process.exit(1);
});
