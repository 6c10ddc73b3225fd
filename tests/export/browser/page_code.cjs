// node page_code.cjs FOLDER CASES.json RESULTS.json: moves points by the code of a demo page, with
// no browser. A case is { points, wanted }; the result of each is the moved points.
const fs = require('fs');
const path = require('path');
const vm = require('vm');

async function main([folder, casesFile, resultsFile]) {
  const page = fs.readFileSync(path.join(folder, 'index.html'), 'utf8');
  const told = /id="model">(.*?)<\/script>/.exec(page)[1];
  const element = () => ({ textContent: told, classList: { toggle() {}, add() {} } });
  const context = vm.createContext({
    document: { getElementById: element, body: element() },
    location: { protocol: 'file:' },   // the page, which begins at once, says so and stops
    console: { error() {} },
    fetch: async (name) => {
      const content = fs.readFileSync(path.join(folder, name));
      return {
        json: async () => JSON.parse(content),
        arrayBuffer: async () => Uint8Array.from(content).buffer,
      };
    },
  });
  for (const [, code] of page.matchAll(/<script>([^]*?)<\/script>/g)) {
    vm.runInContext(code, context);
  }
  const constrained = await vm.runInContext(`(async () => {
    constraint = await loadArrays('constraint.json');
    return constrained;
  })()`, context);
  const cases = JSON.parse(fs.readFileSync(casesFile));
  const results = cases.map(({ points, wanted }) => points.map(one => constrained(one, wanted)));
  fs.writeFileSync(resultsFile, JSON.stringify(results));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
