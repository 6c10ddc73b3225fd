// node in_page.cjs VISITS.json RESULTS.json: uses demo pages as a person does.
// A visit is { url, upload?, midi?, sample?, drawn?, noise?, choices?, screenshot? }: a file that
// is opened in a corner, the address of one to encode only, how many points to draw from the prior,
// and what is chosen of the constraint, with the normal numbers that it is given then.
const fs = require('fs');
const { withPage } = require('./chromium.cjs');

async function visit(browser, { url, upload, midi, sample, drawn: count, ...more }) {
  const { noise, choices, screenshot } = more;
  const page = await browser.newPage();
  const found = { errors: [] };
  page.on('pageerror', error => found.errors.push(error.message));
  page.on('requestfailed', request => found.errors.push(request.url()));
  await page.setViewport({ width: 1040, height: 1080 });
  await page.goto(url);
  found.loaded = await settled(page, 'Ready:');
  found.hidden = await page.$$eval('button', all => all.filter(one => one.hidden).length);
  if (upload) {
    await (await page.$('#file')).uploadFile(upload);
    found.uploaded = await settled(page, 'Ready. ');
    found.point = await page.evaluate(() => corners[0].z);
  }
  if (sample) await useSamples(page, found);
  if (count) {
    found.drawn = await page.evaluate(number => Array.from({ length: number }, drawn), count);
  }
  if (choices) await useConstraint(page, found, noise, choices);
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });
  if (midi) {
    found.point = await page.evaluate(async (address) => {
      const content = await (await fetch(address)).arrayBuffer();
      return encodeFile(new File([content], 'own.mid'));
    }, midi);
  }
  await page.close();
  return found;
}

// What the page says once it is `begins`, or an error.
async function settled(page, begins) {
  await page.waitForFunction((start) => {
    const place = document.getElementById('status');
    return place.className === 'error' || place.textContent.startsWith(start);
  }, { timeout: 300000 }, begins);
  return page.$eval('#status', place => [place.textContent, place.className]);
}

async function useSamples(page, found) {
  await page.click('#sample');
  found.sampled = await settled(page, 'Ready. ');
  found.cells = await page.evaluate(() => cells);
  // A click into the middle of the pad plays what is there; the tempo changes on the way.
  const pad = await (await page.$('#pad')).boundingBox();
  await page.mouse.click(pad.x + pad.width / 2, pad.y + pad.height / 2);
  found.selected = await page.evaluate(() => selected);
  found.rates = [await page.evaluate(rateAt, 120), await page.evaluate(rateAt, 90)];
  found.loudness = await page.evaluate(loudest);
  found.midi = await page.evaluate(() => Array.from(midiFile(cells[selected], 90)));
}

// Samples without and with choices, which are made as with a mouse and a keyboard.
async function useConstraint(page, found, noise, choices) {
  found.offered = await page.$$eval('#constraint label', labels => Object.fromEntries(
    labels.map(label => (
      [label.firstChild.textContent.trim(), [...label.control.options].map(one => one.text)]))));
  found.unasked = await sampledCorners(page);
  for (const [name, side] of Object.entries(choices)) {
    await page.click(`#constraint label:has([name="${name}"])`, { offset: { x: 4, y: 8 } });
    for (let key = 0; key < 3 && await focused(page) !== `${name} ${side}`; key++) {
      await page.keyboard.press('ArrowDown');
    }
  }
  await page.evaluate((numbers) => { normal = () => numbers.shift(); }, noise.flat());
  found.asked = await sampledCorners(page);
}

function focused(page) {
  return page.evaluate(() => {
    const { name, selectedOptions: [option] = [] } = document.activeElement;
    return `${name} ${option && option.text}`;
  });
}

async function sampledCorners(page) {
  await page.click('#sample');
  await settled(page, 'Ready. ');
  return page.evaluate(() => corners.map(corner => corner.z));
}

// At which tempo the page plays, by the audio clock.
async function rateAt(qpm) {
  const slider = byId('tempo');
  slider.value = qpm;
  slider.dispatchEvent(new Event('input'));
  const start = sound.context.currentTime, beat = transport.beat(start);
  let now = start;
  for (; now < start + 0.3; now = sound.context.currentTime) {
    await new Promise(requestAnimationFrame);
  }
  const gone = transport.beat(now) - beat;
  return (gone + (gone < 0 ? beats : 0)) / (now - start) * 60;
}

// The largest of what is played in the time of 2 bars at 90 quarter notes a minute.
async function loudest() {
  const meter = sound.context.createAnalyser();
  sound.limiter.connect(meter);
  const samples = new Float32Array(meter.fftSize), until = sound.context.currentTime + 5.4;
  let most = 0;
  while (sound.context.currentTime < until) {
    meter.getFloatTimeDomainData(samples);
    most = Math.max(most, ...samples.map(Math.abs));
    await new Promise(requestAnimationFrame);
  }
  return most;
}

async function main([visitsFile, resultsFile]) {
  const visits = JSON.parse(fs.readFileSync(visitsFile));
  const results = {};
  await withPage(async (_, browser) => {
    for (const [name, one] of Object.entries(visits)) results[name] = await visit(browser, one);
  });
  fs.writeFileSync(resultsFile, JSON.stringify(results));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
