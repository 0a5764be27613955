// What a person sees of the status page of a process with many shops. The job comes as JSON on standard input, what was seen goes
// out as JSON on standard output.
//
// {chromium, url, search, shop}: open url, search for a text, open the page of a shop.
const { chromium } = require('playwright-core')

const flags = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync']

// updated waits until the page has brought itself up to date twice: the first time may be the state that it came with.
async function updated(page) {
  for (let n = 0; n < 2; n++) {
    const before = await page.textContent('#live-updated')
    await page.waitForFunction(t => document.querySelector('#live-updated').textContent !== t, before)
  }
}

const rows = (page) => page.locator('#live-shops tbody th').allInnerTexts()

async function main(job) {
  const browser = await chromium.launch({ executablePath: job.chromium, headless: true, args: flags })
  try {
    const page = await browser.newPage()
    const seen = { complaints: [] }
    page.on('console', m => { if (m.type() === 'error' || m.type() === 'warning') seen.complaints.push(m.text()) })
    page.on('pageerror', e => seen.complaints.push(String(e)))
    await page.goto(job.url)
    seen.all = (await rows(page)).length
    await page.locator('#search').pressSequentially(job.search)
    await updated(page)
    seen.typed = await page.inputValue('#search')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/?search=*')
    await updated(page)
    seen.found = await rows(page)
    await page.getByRole('link', { name: job.shop }).focus()
    await updated(page)
    seen.focus = await page.evaluate(() => document.activeElement.innerText)
    await page.keyboard.press('Enter')
    await page.waitForURL('**/?shop=*')
    await updated(page)
    seen.heading = await page.innerText('h1')
    seen.title = await page.title()
    return seen
  } finally {
    await browser.close()
  }
}

let text = ''
process.stdin.on('data', d => { text += d }).on('end', () => main(JSON.parse(text)).then(
  seen => process.stdout.write(JSON.stringify(seen)),
  err => { process.stderr.write(String(err.stack)); process.exitCode = 1 }))
