// The status page in the states that a sidecar can be in. The job comes as JSON on standard input, what was seen goes
// out as JSON on standard output.
//
// {chromium, shots, states: [{name, url, kill}]}: look at each page in both colour schemes and three widths. If kill is the
// id of a process, end it when the page is open, and look at what is left.
const { chromium } = require('playwright-core')
const axe = require('axe-core')
const path = require('path')

const flags = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']
const widths = [360, 768, 1280]
const schemes = ['light', 'dark']

async function main(job) {
  const browser = await chromium.launch({ executablePath: job.chromium, headless: true, args: flags })
  try {
    const seen = {}
    for (const state of job.states) seen[state.name] = await look(browser, job, state)
    return seen
  } finally {
    await browser.close()
  }
}

// look opens the page once. The page's own policy would keep axe out.
async function look(browser, job, state) {
  const seen = { faults: [], overflows: [], complaints: [], shots: [] }
  const page = await (await browser.newContext({ bypassCSP: true })).newPage()
  page.on('pageerror', e => seen.complaints.push(String(e)))
  await page.goto(state.url)
  await page.evaluate(axe.source)
  if (state.kill) {
    const before = Date.now()
    process.kill(state.kill, 'SIGKILL')
    await page.waitForSelector(':root.lost')
    seen.noticed = Date.now() - before
  }
  for (const width of widths) {
    await page.setViewportSize({ width, height: 900 })
    for (const colorScheme of schemes) {
      await page.emulateMedia({ colorScheme })
      const shot = path.join(job.shots, `page-${state.name}-${colorScheme}-${width}.png`)
      await page.screenshot({ path: shot, fullPage: true })
      seen.shots.push(shot)
      if (width !== widths[0]) continue // axe looks at what is there and at its colours, and both are the same at other widths
      const result = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }))
      for (const v of result.violations) seen.faults.push(`${colorScheme}: ${v.id}: ${v.help}: ${v.nodes.map(n => n.html).join(' ')}`)
    }
    for (const what of await page.evaluate(overflowing)) seen.overflows.push(`${width}: ${what}`)
    for (const what of await page.evaluate(wrapped)) seen.wrapped = [...(seen.wrapped ?? []), `${width}: ${what}`]
  }
  Object.assign(seen, await page.evaluate(describe))
  await page.context().close()
  return seen
}

// overflowing is what reaches out of its card, or out of the window.
const overflowing = () => [...document.querySelectorAll('section *, header *')].filter(e => {
  const frame = e.closest('section, header').getBoundingClientRect()
  const own = e.getBoundingClientRect()
  return own.width > 0 && (own.right > frame.right + 1 || own.left < frame.left - 1) || own.right > window.innerWidth + 1
}).map(e => e.outerHTML.slice(0, 80))

// wrapped are the versions that need two lines.
const wrapped = () => [...document.querySelectorAll('#live-versions tbody th')].filter(th => {
  const range = document.createRange()
  range.selectNodeContents(th)
  return range.getClientRects().length > 1
}).map(th => th.innerText)

const describe = () => ({
  title: document.title,
  icon: document.getElementById('icon').href,
  lostIcon: document.getElementById('icon').dataset.lost,
  level: document.getElementById('live-verdict').className,
  verdict: document.getElementById('live-verdict').innerText,
  advice: document.querySelector('.advice')?.innerText ?? '',
  text: document.body.innerText,
})

let input = ''
process.stdin.on('data', d => { input += d }).on('end', () => {
  main(JSON.parse(input)).then(seen => process.stdout.write(JSON.stringify(seen)), e => {
    console.error(e)
    process.exitCode = 1
  })
})
