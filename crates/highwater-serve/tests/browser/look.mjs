// Looks at the page: what it shows, how fast, with which keys, in light and in dark; and keeps pictures of it.
// `node look.mjs SMALL LARGE DIR DAMAGED`: the addresses of three servers, and where the pictures go.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import puppeteer from "puppeteer-core";

const [small, large, shots, damaged] = process.argv.slice(2);
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FIRST_LOAD_BYTES_MAX = 200_000;
const FIRST_LOAD_MS_MAX = 1000;
const SHIFT_MAX = 0.02;

const browser = await puppeteer.launch({ executablePath: process.env.BROWSER, args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"] });
const wrong = [];

/** What a browser notes of an answer that was expected: that a token was refused, that a log can't be read. */
const isExpected = (address, text) => text.includes("status of 401") || (address === damaged && text.includes("status of 500"));

/** A page of its own, with nothing in its cache; whatever goes wrong on it that was not expected is remembered. */
const open = async (address, scheme = "light", width = 1280) => {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width, height: 900, deviceScaleFactor: 1 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  page.on("pageerror", (error) => wrong.push(`${address}: ${error.message}`));
  page.on("dialog", (dialog) => wrong.push(`a dialog: ${dialog.message()}`));
  page.on("console", (message) => message.type() === "error" && !isExpected(address, message.text()) && wrong.push(`${address}: ${message.text()}`));
  await page.evaluateOnNewDocument(() => {
    window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shift += entry.value))).observe({ type: "layout-shift", buffered: true });
  });
  const session = await page.createCDPSession();
  await session.send("Network.enable");
  page.bytes = 0;
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (page.bytes += encodedDataLength));
  await page.goto(address);
  return page;
};

const shown = (page, view) => page.waitForFunction((name) => performance.getEntriesByName(`shown-${name}`).length > 0, { timeout: 30_000 }, view);
const text = (page, selector) => page.$eval(selector, (element) => element.innerText);
const go = async (page, address, view) => {
  await page.evaluate((hash) => {
    performance.clearMarks();
    location.hash = hash;
  }, address);
  await shown(page, view);
};
const shoot = (page, name) => page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });

/** Which of these do not show all of their words. */
const cut = (page, selector) => page.$$eval(selector, (found) => found.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent));

/** Contrast, names, roles: what axe-core finds, if anything. */
const accessible = async (page, where) => {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => (await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "best-practice"] })).violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 140)).join(" | ")}`));
  assert.deepEqual(found, [], where);
};

/** The first load, on a fresh cache, as the browser itself times it. */
const firstLoad = async (address, name) => {
  const page = await open(address);
  await shown(page, "overview");
  const ms = await page.evaluate(() => performance.getEntriesByName("shown-overview")[0].startTime);
  await new Promise((done) => setTimeout(done, 500));
  const shift = await page.evaluate(() => window.shift);
  console.log(`${name}: first load ${page.bytes} bytes, all shown after ${Math.round(ms)} ms, layout shift ${shift.toFixed(4)}`);
  assert.ok(page.bytes < FIRST_LOAD_BYTES_MAX, `${page.bytes} bytes`);
  assert.ok(shift < SHIFT_MAX, `things move: ${shift}`);
  await page.browserContext().close();
  return ms;
};

/** Until the server has read the history. */
const read = async (address) => {
  const begun = Date.now();
  for (;;) {
    const { reading } = await (await fetch(`${address}api/overview`)).json();
    if (reading.done) return Date.now() - begun;
    await new Promise((done) => setTimeout(done, 50));
  }
};

// While the history is still being read.
assert.ok((await firstLoad(large, "large, cold")) < FIRST_LOAD_MS_MAX, "the large log is too slow while its history is being read");
console.log(`large: the history was read after another ${await read(large)} ms`);
await read(small);
assert.ok((await firstLoad(large, "large, warm")) < FIRST_LOAD_MS_MAX, "the large log is too slow");
assert.ok((await firstLoad(small, "small")) < FIRST_LOAD_MS_MAX, "the small log is too slow");

for (const scheme of ["light", "dark"]) {
  const page = await open(small, scheme);
  await shown(page, "overview");
  assert.match(await text(page, "#verdict"), /to look at|done/);
  assert.match(await text(page, ".tiles"), /Streams\s+4\s/, "the runtime's own streams are not counted");
  assert.deepEqual(await cut(page, ".tile dd"), [], "words are cut off");
  assert.equal(await page.$$eval(".legend .k-p99", (keys) => keys.filter((key) => key.offsetParent).length), 0, "a legend without lines");
  await accessible(page, `${scheme} overview`);
  await shoot(page, `overview-${scheme}`);

  await go(page, "#/streams", "streams");
  const names = await text(page, "#view tbody");
  assert.ok(names.includes("<script>alert(1)</script>"), "a bad name is shown as it is");
  assert.equal(await page.$$eval("#view script", (found) => found.length), 0);
  await accessible(page, `${scheme} streams`);
  await shoot(page, `streams-${scheme}`);

  await go(page, "#/state?stream=orders&namespace=shop", "state");
  await page.waitForSelector(".sides .add");
  assert.match(await text(page, ".timeline"), /by hand[^]*wrong tax/);
  await accessible(page, `${scheme} state`);
  await shoot(page, `state-${scheme}`);

  await go(page, "#/checkpoints", "checkpoints");
  await page.click("#view tbody tr");
  await page.waitForFunction(() => document.querySelector("#view").innerText.includes("Checkpoint "));
  await accessible(page, `${scheme} checkpoints`);
  await shoot(page, `checkpoints-${scheme}`);

  await go(page, "#/past", "past");
  await accessible(page, `${scheme} past`);
  await shoot(page, `past-${scheme}`);
  await page.browserContext().close();
}

for (const scheme of ["light", "dark"]) {
  const page = await open(large, scheme);
  await shown(page, "overview");
  await shoot(page, `large-overview-${scheme}`);
  await go(page, "#/streams", "streams");
  assert.match(await text(page, "#view"), /1 to 50 of 100,000/);
  await shoot(page, `large-streams-${scheme}`);

  // By keys alone: find, walk, open, page.
  await page.keyboard.press("/");
  const begun = Date.now();
  await page.keyboard.type("99999");
  await page.waitForFunction(() => document.querySelector("[role=status]").textContent === "1 to 1 of 1");
  console.log(`large: found one stream of 100,000 while typing, ${Date.now() - begun} ms`);
  await page.focus("tbody tr");
  await page.keyboard.press("Enter");
  await shown(page, "state");
  assert.match(await text(page, "#view"), /region_4\.tenant_99999/);
  await go(page, "#/checkpoints?before=50001", "checkpoints");
  await page.waitForSelector("#view tbody tr");
  assert.match(await text(page, "#view tbody tr"), /50,000/);
  await page.focus("tbody tr");
  await page.keyboard.press("ArrowDown");
  assert.match(await page.evaluate(() => document.activeElement.innerText), /49,999/);
  await page.browserContext().close();
}

// The first Tab leads past the head; each view can be reached by Tab and Enter.
{
  const page = await open(small);
  await shown(page, "overview");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  for (let n = 0; n < 3; n++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await shown(page, "checkpoints");
  await page.browserContext().close();
}

/** Presses a button of the open dialog, once it can be pressed. */
const pressIn = async (page, name) => {
  const button = await page.waitForFunction((name) => [...document.querySelectorAll("dialog button")].find((one) => one.textContent === name && !one.disabled), {}, name);
  await button.asElement().click();
};

// An edit: what it means first, then it is done, and its record is there.
{
  const page = await open(small);
  await shown(page, "overview");
  await go(page, "#/state?stream=products&namespace=shop", "state");
  await page.waitForSelector(".timeline button");
  await page.evaluate(() => [...document.querySelectorAll("button")].find((button) => button.textContent === "Edit").click());
  await page.waitForSelector("dialog[open] textarea");
  await page.$eval("dialog textarea", (area) => (area.value = '{"cursor":"<b>40</b>"}'));
  const [token, by, reason] = await page.$$("dialog input");
  await token.type("wrong-token-wrong-token");
  await by.type("ops");
  await reason.type("page 41 was empty");
  const press = (name) => pressIn(page, name);
  await press("What would it mean?");
  await page.waitForSelector(".told.wrong");
  assert.match(await text(page, ".told"), /not the token/);
  await token.evaluate((input) => (input.value = ""));
  await token.type(process.env.TOKEN);
  await press("What would it mean?");
  await page.waitForFunction(() => document.querySelector(".told")?.innerText.includes("This changes"));
  assert.match(await text(page, ".told"), /- \/type: "STREAM"\n\+ \/cursor: "<b>40<\/b>"/);
  await shoot(page, "edit-light");
  await accessible(page, "the dialog");
  await press("Do it");
  await page.waitForFunction(() => document.querySelector(".timeline").innerText.includes("page 41 was empty"));
  await page.browserContext().close();
}

// A rewind: what is read again and who will hold it twice first, then it is done.
{
  const page = await open(small);
  await shown(page, "overview");
  await go(page, "#/checkpoints", "checkpoints");
  await page.waitForSelector("tbody tr");
  await page.evaluate(() => [...document.querySelectorAll("tbody tr")][9].click());
  const button = await page.waitForFunction(() => [...document.querySelectorAll("button")].find((one) => one.textContent === "Rewind to this"));
  await button.asElement().click();
  await page.waitForSelector("dialog[open]");
  const [token, by, reason] = await page.$$("dialog input");
  await token.type(process.env.TOKEN);
  await by.type("ops");
  await reason.type("a filter was wrong");
  await pressIn(page, "What would it mean?");
  await page.waitForFunction(() => document.querySelector(".told")?.innerText.includes("state"));
  const told = await text(page, ".told");
  for (const line of [/The source reads again:/, /lake appends: it will hold it twice/, /Consumers get again:/]) assert.match(told, line);
  await shoot(page, "rewind-light");
  await accessible(page, "the rewind dialog");
  await pressIn(page, "Do it");
  await page.waitForFunction(() => [...document.querySelectorAll("tbody tr")].some((row) => row.innerText.includes("rewind")));
  await page.browserContext().close();
}

// Of a log that can't be read the verdict says that, and what to run next.
for (const scheme of ["light", "dark"]) {
  const page = await open(damaged, scheme);
  await page.waitForSelector("#verdict button.command");
  const verdict = await text(page, "#verdict");
  assert.match(verdict, /The log is damaged[^]*\.hws[^]*highwater verify/);
  await accessible(page, `${scheme} damaged`);
  await shoot(page, `damaged-${scheme}`);
  await page.browserContext().close();
}

// On a narrow screen nothing hangs over, no way is cut off, and the pictures' words can be read.
const WORDS_MIN = 9;
for (const [width, scheme] of [[360, "light"], [390, "light"], [420, "dark"], [768, "light"]]) {
  const page = await open(small, scheme, width);
  await shown(page, "overview");
  const fits = async (where) => {
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${where} is ${over} pixels too wide on ${width}`);
    const links = await page.$$eval("nav a", (found) => found.map((one) => ({ text: one.textContent, right: one.getBoundingClientRect().right, high: one.offsetHeight, cut: one.scrollWidth > one.clientWidth })));
    for (const link of links) assert.ok(link.right <= width && link.high < 40 && !link.cut, `${width}: ${JSON.stringify(link)}`);
  };
  await fits("overview");
  assert.deepEqual(await cut(page, ".tile dd"), [], `words are cut off on ${width}`);
  const words = await page.$$eval(".tape text, .chart text", (found) => found.map((one) => {
    const svg = one.ownerSVGElement;
    return { text: one.textContent, px: parseFloat(getComputedStyle(one).fontSize) * (svg.clientWidth / svg.viewBox.baseVal.width), right: one.getBoundingClientRect().right };
  }));
  assert.ok(words.length > 5, "the pictures have words");
  for (const word of words) assert.ok(word.px >= WORDS_MIN && word.right <= width, `${width}: ${JSON.stringify(word)}`);
  await accessible(page, `${width} overview`);
  if (width === 390 || width === 420) await shoot(page, `narrow-${scheme}`);
  for (const [address, view] of [["#/streams", "streams"], ["#/state?stream=orders&namespace=shop", "state"], ["#/checkpoints", "checkpoints"], ["#/past", "past"]]) {
    await go(page, address, view);
    await fits(view);
    if (width === 390) await shoot(page, `narrow-${view}`);
  }
  await page.browserContext().close();
}

await browser.close();
assert.deepEqual(wrong, []);
console.log("the page is as it should be");
