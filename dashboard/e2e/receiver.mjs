// Takes webhooks in on a free port of this machine, and checks them as their receivers do: by the library of Standard Webhooks.

import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';

/** Answers `{ url, taken, verified(secret), stop }`. */
export async function receiver() {
	const taken = [];
	const server = createServer(async (request, response) => {
		const chunks = [];
		for await (const chunk of request) chunks.push(chunk);
		taken.push({ at: Date.now(), method: request.method, headers: request.headers, text: Buffer.concat(chunks).toString() });
		response.writeHead(204);
		response.end();
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return {
		url: `http://127.0.0.1:${server.address().port}/hooks/headwater`,
		/** As they came, with headers and text. */
		taken,
		/** What they say. Throws where a signature does not fit, or is too old. */
		verified(secret) {
			const webhook = new Webhook(secret);
			return taken.map(({ at, headers, text }) => ({ at, id: headers['webhook-id'], ...webhook.verify(text, headers) }));
		},
		stop: () => server.close()
	};
}
