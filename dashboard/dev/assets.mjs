// The built pages, as the API serves them: with its content security policy. For the mock; development only.

import { readFileSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const build = fileURLToPath(new URL('../build', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json' };
const CSP =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Answers with the file at `pathname`. */
export function asset(pathname, response) {
	const thing = /^\/((txs|blocks)\/[^/]+\/[^/]+|alerts\/[^/]+)$/.test(pathname);
	const page = pathname === '/' ? '/index.html' : thing ? '/any.html' : pathname;
	const path = normalize(extname(page) ? page : `${page}.html`);
	try {
		const bytes = readFileSync(join(build, path));
		response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream', 'content-security-policy': CSP });
		response.end(bytes);
	} catch {
		response.writeHead(404);
		response.end('not found\n');
	}
}
