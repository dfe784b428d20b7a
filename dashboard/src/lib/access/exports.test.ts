import { describe, expect, it } from 'vitest';
import { definitionsOf, fileAt, nameOf } from './exports';

const HEAD = '{"kind":"headwater.organisation","version":1,"name":"Acme"}';
const FILE = [HEAD, '{"kind":"contract","name":"history"}', '{"kind":"history"}', '{"kind":"alert","id":"1"}', '{"kind":"end","rows":4}', ''].join('\n');

describe('the file of an organisation', () => {
	it('is sent as far as it defines things', () => {
		expect(definitionsOf(FILE)).toBe([HEAD, '{"kind":"contract","name":"history"}', '{"kind":"history"}', ''].join('\n'));
		expect(definitionsOf(`${HEAD}\n`)).toBe(`${HEAD}\n`);
		// The server says what is wrong with what is no such file.
		expect(definitionsOf('history? no JSON')).toBe('history? no JSON');
	});

	it('says what the organisation is called', () => {
		expect(nameOf(FILE)).toBe('Acme');
		expect(nameOf('{"kind":"rule","name":"x"}')).toBe('');
		expect(nameOf('')).toBe('');
	});

	it('is fetched from this server and no other', () => {
		expect(fileAt('/api/v1/organisations/1/exports/2/file')).toBe('/api/v1/organisations/1/exports/2/file');
		for (const elsewhere of ['https://evil.example/x', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '', null, undefined]) {
			expect(fileAt(elsewhere), String(elsewhere)).toBeNull();
		}
	});
});
