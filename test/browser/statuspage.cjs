// What a person sees of the status page. The job comes as JSON on standard input, what was
// seen goes out as JSON on standard output.
//
// {chromium, url, shots, call, pid}: open url with and without scripts, in both colour schemes and
// on a phone; call is an address that makes a request
// through the sidecar meanwhile, pid is the sidecar's.
const { chromium } = require('playwright-core')
const axe = require('axe-core')
const path = require('path')

const flags = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']

async function main(job) {
  const browser = await chromium.launch({ executablePath: job.chromium, headless: true, args: flags })
  try {
    return { live: await live(browser, job), plain: await plain(browser, job), faults: await faults(browser, job) }
  } finally {
    await browser.close()
  }
}

const shoot = (page, job, what) => page.screenshot({ path: path.join(job.shots, `status-${what}.png`), fullPage: true })

// live is the page with its script: it brings itself up to date, without moving the focus.
async function live(browser, job) {
  const page = await (await browser.newContext({ viewport: { width: 1100, height: 900 } })).newPage()
  const seen = { complaints: [], requests: [] }
  page.on('console', m => { if (m.type() === 'error' || m.type() === 'warning') seen.complaints.push(m.text()) })
  page.on('pageerror', e => seen.complaints.push(String(e)))
  page.on('request', r => seen.requests.push(new URL(r.url()).pathname))
  await page.goto(job.url)
  seen.title = await page.title()
  await page.keyboard.press('Tab')
  seen.firstFocus = await page.evaluate(() => document.activeElement.innerText)
  await page.keyboard.press('Tab')
  seen.nextFocus = await page.evaluate(() => document.activeElement.innerText)
  const before = await page.textContent('#live-updated')
  const calls = await page.textContent('#live-traffic p')
  seen.tooltip = await page.getAttribute('time', 'title')
  seen.local = await page.evaluate(() => new Date(document.querySelector('time').dateTime).toLocaleString())
  await page.evaluate(() => { window.marked = document.querySelector('h1') })
  await page.context().request.get(job.call)
  await page.waitForFunction(t => document.querySelector('#live-updated').textContent !== t, before)
  await page.waitForFunction(t => document.querySelector('#live-traffic p').textContent !== t, calls)
  seen.reloaded = await page.evaluate(() => !document.contains(window.marked))
  seen.focusKept = await page.evaluate(() => document.activeElement.innerText) === seen.nextFocus
  seen.text = await page.evaluate(() => document.body.innerText)
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme })
    await shoot(page, job, scheme)
  }
  await page.setViewportSize({ width: 320, height: 640 })
  await shoot(page, job, 'phone')
  seen.overflows = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)
  Object.assign(seen, await halt(page, job))
  return seen
}

// halt has the sidecar hang for a while: nothing is closed, and yet the page must notice, and notice when it goes on.
async function halt(page, job) {
  process.kill(job.pid, 'SIGSTOP')
  try {
    await page.waitForSelector(':root.lost')
    const lost = { title: await page.title(), verdict: await page.innerText('#live-verdict'), icon: await page.getAttribute('#icon', 'href') }
    process.kill(job.pid, 'SIGCONT')
    await page.waitForSelector(':root:not(.lost)')
    return { lost, back: { title: await page.title(), verdict: await page.innerText('#live-verdict'), icon: await page.getAttribute('#icon', 'href') } }
  } finally {
    process.kill(job.pid, 'SIGCONT')
  }
}

// plain is the page without scripts: it says the same, and reloads itself.
async function plain(browser, job) {
  const page = await (await browser.newContext({ javaScriptEnabled: false })).newPage()
  await page.goto(job.url)
  await shoot(page, job, 'without-script')
  return { text: await page.innerText('body'), refresh: await page.locator('noscript').first().innerHTML() }
}

// faults is what axe finds, in both schemes. The page's own policy would keep axe out.
async function faults(browser, job) {
  const found = []
  for (const colorScheme of ['light', 'dark']) {
    const page = await (await browser.newContext({ bypassCSP: true, colorScheme })).newPage()
    await page.goto(job.url)
    await page.evaluate(axe.source)
    const result = await page.evaluate(() => window.axe.run())
    for (const v of result.violations) found.push(`${colorScheme}: ${v.id}: ${v.help}: ${v.nodes.map(n => n.html).join(' ')}`)
  }
  return found
}

let input = ''
process.stdin.on('data', d => { input += d }).on('end', () => {
  main(JSON.parse(input)).then(seen => process.stdout.write(JSON.stringify(seen)), e => {
    console.error(e)
    process.exitCode = 1
  })
})
