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

// look opens the page once for each scheme. The page's own policy would keep axe out.
async function look(browser, job, state) {
  const seen = { faults: [], overflows: [], complaints: [], shots: [] }
  const pages = []
  for (const colorScheme of schemes) {
    const page = await (await browser.newContext({ bypassCSP: true, colorScheme })).newPage()
    page.on('pageerror', e => seen.complaints.push(String(e)))
    await page.goto(state.url)
    await page.evaluate(axe.source)
    pages.push({ page, colorScheme })
  }
  if (state.kill) {
    const before = Date.now()
    process.kill(state.kill, 'SIGKILL')
    for (const { page } of pages) await page.waitForSelector(':root.lost')
    seen.noticed = Date.now() - before
  }
  for (const { page, colorScheme } of pages) {
    for (const width of widths) {
      await page.setViewportSize({ width, height: 900 })
      const shot = path.join(job.shots, `page-${state.name}-${colorScheme}-${width}.png`)
      await page.screenshot({ path: shot, fullPage: true })
      seen.shots.push(shot)
      for (const what of await page.evaluate(overflowing)) seen.overflows.push(`${colorScheme} ${width}: ${what}`)
      if (width !== 360 && (width !== 1280 || colorScheme !== 'light')) continue // what else is drawn there has been looked at
      const result = await page.evaluate(() => window.axe.run())
      for (const v of result.violations) seen.faults.push(`${colorScheme} ${width}: ${v.id}: ${v.help}: ${v.nodes.map(n => n.html).join(' ')}`)
    }
    Object.assign(seen, await page.evaluate(describe))
    await page.context().close()
  }
  return seen
}

// overflowing is what reaches out of its card, or out of the window.
const overflowing = () => [...document.querySelectorAll('section *, header *')].filter(e => {
  const frame = e.closest('section, header').getBoundingClientRect()
  const own = e.getBoundingClientRect()
  return own.width > 0 && (own.right > frame.right + 1 || own.left < frame.left - 1) || own.right > window.innerWidth + 1
}).map(e => e.outerHTML.slice(0, 80))

const describe = () => ({
  title: document.title,
  icon: document.getElementById('icon').href,
  lostIcon: document.getElementById('icon').dataset.lost,
  level: document.getElementById('live-verdict').className,
  verdict: document.getElementById('live-verdict').innerText,
  advice: document.querySelector('.advice')?.innerText ?? '',
  text: document.body.innerText,
  // A row's name that needs two lines has two rectangles.
  wrapped: [...document.querySelectorAll('tbody th')].filter(th => !th.children.length).filter(th => {
    const range = document.createRange()
    range.selectNodeContents(th)
    return range.getClientRects().length > 1
  }).map(th => th.innerText),
})

let input = ''
process.stdin.on('data', d => { input += d }).on('end', () => {
  main(JSON.parse(input)).then(seen => process.stdout.write(JSON.stringify(seen)), e => {
    console.error(e)
    process.exitCode = 1
  })
})
