import { expect, it } from 'vitest';
import { Intent } from './intent';

it('has one key for one thing, and another for another', () => {
	const intent = new Intent();
	const first = intent.key({ name: 'a' });
	expect(first).toMatch(/^[0-9a-f]{32}$/);
	expect(intent.key({ name: 'a' })).toBe(first);
	const second = intent.key({ name: 'b' });
	expect(second).not.toBe(first);
	intent.done();
	expect(intent.key({ name: 'b' })).not.toBe(second);
});
