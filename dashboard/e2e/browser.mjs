// What every test in the browser begins with: a browser, waiting for something, and hearing of violations of the content security policy.

import { chromium } from 'playwright-core';

/** The browser at CHROMIUM (default /usr/bin/chromium). */
export function launch() {
	return chromium.launch({
		executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
		args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
	});
}

/** `until(what, test)`: what `test` answers once that is something. Throws where it is nothing for `timeout` ms; asks every `everyMs`. */
export function waiting(timeout, everyMs = 100) {
	return async (what, test) => {
		const end = Date.now() + timeout;
		for (;;) {
			const found = await test();
			if (found) return found;
			if (Date.now() > end) throw new Error(`waited ${timeout} ms for: ${what}`);
			await new Promise((resolve) => setTimeout(resolve, everyMs));
		}
	};
}

/** From the next page on, violations are written down in `window.violations`. */
export function hearViolations(page) {
	return page.addInitScript(() => {
		window.violations = [];
		addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective}: ${e.blockedURI}`));
	});
}
