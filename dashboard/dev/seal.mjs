// After the build: moves the start-up script out of each page into a file of its own, so that the page holds no inline
// script at all and runs under `script-src 'self'`, also when the server sends that itself. Fails when there is anything
// inline left, or when a page names another host.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const build = new URL('../build/', import.meta.url);

for (const name of readdirSync(build).filter((n) => n.endsWith('.html'))) {
	const page = new URL(name, build);
	let html = readFileSync(page, 'utf8');
	let moved = 0;
	// The fallback's path may have any depth; all other pages lie beside their files.
	const root = html.includes('src="./theme.js"') ? './' : '/';

	html = html.replace(/<script>([\s\S]*?)<\/script>/g, (_, code) => {
		const name = `start.${createHash('sha256').update(code).digest('hex').slice(0, 10)}.js`;
		writeFileSync(new URL(name, build), code.trim() + '\n');
		moved++;
		return `<script src="${root}${name}"></script>`;
	});
	html = html.replace(/ 'sha256-[^']+'/g, '');

	const left = html.match(/<script>|<style|\sstyle="|\son[a-z]+="|https?:\/\//);
	if (moved !== 1 || left) throw new Error(`${name} cannot be sealed: ${moved} scripts moved, ${left?.[0] ?? 'none'} left`);
	writeFileSync(page, html);
}
