// The SDK's own check of a webhook that came: {body, headers, key} on standard input.
import { readFileSync } from 'node:fs';
import Telnyx from 'telnyx';

const { body, headers, key } = JSON.parse(readFileSync(0, 'utf8'));
const client = new Telnyx({ apiKey: 'unused' });
const event = await client.webhooks.unwrap(body, { headers, key });
console.log(JSON.stringify(event.data));
