import adapter from '@sveltejs/adapter-static';
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';
import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8'));

/** @type {import('@sveltejs/kit').Config} */
export default {
	preprocess: vitePreprocess(),
	compilerOptions: { runes: true },
	kit: {
		// `any.html` is the page of what has a name in its path: the server gives it for `/txs/NETWORK/HASH` and the like.
		adapter: adapter({ pages: 'build', assets: 'build', fallback: 'any.html', strict: true }),
		// A fixed name keeps two builds of one source byte for byte equal.
		version: { name: version },
		output: { bundleStrategy: 'single' },
		// Ends up in a <meta> of index.html, so the page is strict even when a proxy drops the server's header.
		csp: {
			mode: 'hash',
			directives: {
				'default-src': ['none'],
				'script-src': ['self'],
				'style-src': ['self'],
				'img-src': ['self', 'data:'],
				'connect-src': ['self'],
				'base-uri': ['none'],
				'form-action': ['none']
			}
		}
	}
};
