// Drives the vendors' Node packages through what they offer, and prints what came of it as one JSON object.
// node drive_packages.mjs STEMSPLIT_URL AISTEMSPLITTER_URL SONG FOLDER

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { AIStemSplitter } from '@aistemsplitter/sdk';
import { StemSplit, webhooks } from '@stemsplit/sdk';

const [stemsplitUrl, splitterUrl, song, folder] = process.argv.slice(2);
const key = 'sk_live_node';
const wait = { pollIntervalMs: 50, intervalMs: 50, timeoutMs: 20000 };
const stemsplit = new StemSplit({ apiKey: key, baseUrl: stemsplitUrl, maxRetries: 0 });
const splitter = new AIStemSplitter({ apiKey: 'ast_live_node', baseUrl: splitterUrl });
const audio = await readFile(song);
const seen = {};

async function refusal(call) {
  try {
    await call();
    return 'no error';
  } catch (error) {
    return `${error.constructor.name} ${error.code}`;
  }
}

let deliver;
const delivery = new Promise((resolve) => { deliver = resolve; });
const receiver = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    response.end();
    deliver([request.headers['x-webhook-signature'], Buffer.concat(parts)]);
  });
}).listen(0, '127.0.0.1');
await new Promise((resolve) => { receiver.once('listening', resolve); });
const made = await fetch(`${stemsplitUrl}/webhooks`, {
  method: 'POST',
  headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
  body: JSON.stringify({ url: `http://127.0.0.1:${receiver.address().port}/` }),
});
const { secret } = await made.json();

const job = await stemsplit.jobs.create({ audio: song, outputType: 'FOUR_STEMS', outputFormat: 'FLAC' });
const done = await job.waitForCompletion(wait);
const { files } = await done.downloadAll(folder);
seen.job = [done.status, done.creditsCharged, Object.keys(files).sort()];
for (const each of [audio, new Uint8Array(audio), new Blob([audio])]) {
  const more = await stemsplit.jobs.create({ audio: each, fileName: 'more.wav', outputType: 'VOCALS' });
  await more.waitForCompletion(wait);
}
seen.again = (await stemsplit.jobs.get(job.id)).status;
seen.page = (await stemsplit.jobs.list({ limit: 2 })).pagination;
seen.walked = 0;
for await (const _ of stemsplit.jobs.iterAll({ limit: 2 })) seen.walked += 1;
seen.balance = (await stemsplit.account.get()).balanceSeconds;
const video = await stemsplit.youtubeJobs.create('https://youtu.be/dQw4w9WgXcQ');
const separated = await stemsplit.youtubeJobs.waitForCompletion(video.id, wait);
seen.video = [video.outputs, separated.status, Object.keys(separated.outputs).sort()];
seen.videos = (await stemsplit.youtubeJobs.list()).jobs.length;
const [signature, body] = await delivery;
seen.delivery = webhooks.verifyAndParse(body, signature, secret).event;
const stranger = new StemSplit({ apiKey: 'sk_live_nobody', baseUrl: stemsplitUrl, maxRetries: 0 });
const poor = new StemSplit({ apiKey: 'sk_live_poor', baseUrl: stemsplitUrl, maxRetries: 0 });
seen.refusals = [
  await refusal(() => webhooks.verifyAndParse(body, signature, 'another')),
  await refusal(() => stranger.account.get()),
  await refusal(() => poor.jobs.create({ audio: song })),
  await refusal(() => stemsplit.jobs.get('nothing')),
  await refusal(() => stemsplit.jobs.create({ audio: Buffer.from('a tale'), fileName: 'tale.mp3' })),
];

const { input } = await splitter.uploadAudio({ filename: 'song.wav', contentType: 'audio/wav', data: audio });
const request = { input, stemModel: '6s' };
const splits = [];
for (const idempotencyKey of ['k', 'k']) splits.push(await splitter.createSplit(request, { idempotencyKey }));
const split = await splitter.waitForSplit(splits[0].id, wait);
seen.split = [splits[0].id === splits[1].id, split.status, Object.keys(split.stems).length];
seen.credits = (await splitter.getCredits()).balance;
seen.splitRefusals = [
  await refusal(() => splitter.createSplit({ input: { type: 'direct_url', url: 'nowhere' } })),
  await refusal(() => new AIStemSplitter({ apiKey: 'ast_live_nobody', baseUrl: splitterUrl }).getCredits()),
];
receiver.close();
receiver.closeAllConnections();
console.log(JSON.stringify(seen));
