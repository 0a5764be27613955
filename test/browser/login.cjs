// One visit of a person's to Shopify's page. The job comes as JSON on standard input, what
// was seen goes out as JSON on standard output.
//
// {chromium, resolve, url, press, end, unreachable, shots, name}: open url, press the button
// with this name if there is one, and arrive at an address that begins with end.
const { chromium } = require('playwright-core')
const path = require('path')

const flags = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']

async function main(job) {
  const browser = await chromium.launch({
    executablePath: job.chromium, headless: true, args: [...flags, '--host-resolver-rules=' + job.resolve],
  })
  try {
    return await visit(browser, job)
  } finally {
    await browser.close()
  }
}

async function visit(browser, job) {
  // The simulator's certificate is signed by an authority that lives as long as the test.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1000, height: 700 } })
  const page = await context.newPage()
  const seen = { complaints: [], addresses: [] }
  page.on('console', m => { if (m.type() === 'error' || m.type() === 'warning') seen.complaints.push(m.text()) })
  page.on('pageerror', e => seen.complaints.push(String(e)))
  page.on('request', r => { if (r.isNavigationRequest()) seen.addresses.push(r.url()) })

  const atEnd = address => address.startsWith(job.end)
  const act = async () => {
    await page.goto(job.url)
    if (!job.press) return
    await shoot(page, job, 'shopify')
    await page.getByRole('button', { name: job.press, exact: true }).click({ noWaitAfter: true })
  }
  if (job.unreachable) {
    await Promise.all([page.waitForEvent('requestfailed', r => atEnd(r.url())), act()])
    return seen
  }
  const [answer] = await Promise.all([page.waitForResponse(r => atEnd(r.url()) && r.request().isNavigationRequest()), act()])
  await page.waitForURL(u => atEnd(u.href))
  seen.status = answer.status()
  seen.headers = await answer.allHeaders()
  seen.html = await page.content()
  seen.cookies = (await context.cookies()).map(c => c.name)
  Object.assign(seen, await page.evaluate(describe))
  seen.contrast = {}
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme })
    await shoot(page, job, scheme)
    seen.contrast[scheme] = await page.evaluate(leastContrast)
  }
  await page.setViewportSize({ width: 320, height: 640 })
  await shoot(page, job, 'phone')
  seen.overflows = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)
  return seen
}

const shoot = (page, job, what) => page.screenshot({ path: path.join(job.shots, `${job.name}-${what}.png`) })

const describe = () => ({
  title: document.title,
  lang: document.documentElement.lang,
  headings: [...document.querySelectorAll('h1')].map(h => h.innerText),
  mains: document.querySelectorAll('main').length,
  text: document.body.innerText,
  // That the style applies shows that the policy lets it.
  styled: getComputedStyle(document.querySelector('main')).maxWidth !== 'none',
})

// leastContrast is the lowest ratio of text to page, as WCAG 2 defines it.
const leastContrast = () => {
  const rgb = color => color.match(/[\d.]+/g).slice(0, 3).map(Number)
  const luminance = color => {
    const [r, g, b] = rgb(color).map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const paper = luminance(getComputedStyle(document.body).backgroundColor)
  const ratios = [...document.querySelectorAll('h1, p, a')].map(e => {
    const ink = luminance(getComputedStyle(e).color)
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)
  })
  return Math.min(...ratios)
}

let input = ''
process.stdin.on('data', d => { input += d }).on('end', () => {
  main(JSON.parse(input)).then(seen => process.stdout.write(JSON.stringify(seen)), e => {
    console.error(e)
    process.exitCode = 1
  })
})
