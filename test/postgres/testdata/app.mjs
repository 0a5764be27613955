// An app's store of sessions, as the template has it. Each line of standard input is an order, each line of standard output its answer.
import '@shopify/shopify-api/adapters/node';
import {Session} from '@shopify/shopify-api';
import {createInterface} from 'node:readline';

const [layout, url] = process.argv.slice(2);
console.log = console.error; // the packages write there

async function storageOf() {
  if (layout === 'prisma') {
    const {PrismaClient} = await import('@prisma/client');
    const {PrismaPg} = await import('@prisma/adapter-pg');
    const {PrismaSessionStorage} = await import('@shopify/shopify-app-session-storage-prisma');
    return new PrismaSessionStorage(new PrismaClient({adapter: new PrismaPg({connectionString: url})}));
  }
  const {PostgreSQLSessionStorage} = await import('@shopify/shopify-app-session-storage-postgresql');
  const storage = new PostgreSQLSessionStorage(url);
  await storage.ready;
  return storage;
}

// The template exchanges a session token for a new pair when the session ends within five minutes.
const soon = 5 * 60 * 1000;

const storage = await storageOf();
const answer = (value) => process.stdout.write(JSON.stringify(value) + '\n');
answer({ready: true});
for await (const line of createInterface({input: process.stdin})) {
  const {order, shop, scope, within = soon, ...pair} = JSON.parse(line);
  const id = `offline_${shop}`;
  try {
    switch (order) {
      case 'store':
        await storage.storeSession(new Session({
          id, shop, state: '', isOnline: false, scope, accessToken: pair.access, refreshToken: pair.refresh,
          expires: new Date(pair.expires), refreshTokenExpires: new Date(pair.refreshExpires),
        }));
        answer({});
        break;
      case 'load': {
        const s = await storage.loadSession(id);
        answer(s === undefined ? {} : {
          found: true, active: s.isActive(scope, within), access: s.accessToken, refresh: s.refreshToken,
          expires: s.expires?.getTime(), refreshExpires: s.refreshTokenExpires?.getTime(),
        });
        break;
      }
      case 'delete':
        await storage.deleteSession(id);
        answer({});
    }
  } catch (error) {
    answer({error: String(error)});
  }
}
process.exit(0);
