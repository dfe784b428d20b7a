import { sveltekit } from '@sveltejs/kit/vite';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** Where `npm run dev` finds the API: a running headwater, or the mock. */
const target = process.env.HEADWATER_URL ?? 'http://127.0.0.1:8080';

/** The router's announcer comes with an inline style, which `style-src 'self'` refuses: our own class does the same. */
const announcer: Plugin = {
	name: 'announcer-without-inline-style',
	enforce: 'pre',
	transform(code, id) {
		if (!id.endsWith('generated/root.svelte')) return;
		const changed = code.replace(/(<div id="svelte-announcer"[^>]*) style="[^"]*"/, '$1 class="sr"');
		if (changed === code) this.error('the announcer has changed: look at generated/root.svelte');
		return changed;
	}
};

export default defineConfig({
	plugins: [announcer, sveltekit()],
	build: { assetsInlineLimit: 0 },
	server: { proxy: { '/api': { target, ws: true } } },
	test: { include: ['src/**/*.test.ts'], environment: 'node' }
});
