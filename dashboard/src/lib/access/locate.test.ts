import { describe, expect, it } from 'vitest';
import { abiText, locate, steps, syntaxError } from './locate';

const text = `[
  {"type": "function", "name": "a\\"]", "inputs": [
    {"name": "x", "type": "uint7"}, {"type": "bool"}
  ], "payable": false},
  {"type": "event"}
]`;
const found = (path: string, of = text) => {
	const place = locate(of, path);
	return place && { text: of.slice(place.from, place.to), at: `${place.line}:${place.column}` };
};

describe('steps', () => {
	it('reads paths and nothing else', () => {
		expect(steps('abi.3.inputs.0.type')).toEqual(['abi', '3', 'inputs', '0', 'type']);
		expect(steps('abi[3].inputs[0].type')).toEqual(['abi', '3', 'inputs', '0', 'type']);
		expect(steps('abi')).toEqual(['abi']);
		expect(steps('abi[x]')).toBeNull();
		expect(steps('line 2, column 4')).toBeNull();
	});
});

describe('locate', () => {
	it('finds the smallest part', () => {
		expect(found('abi.0.inputs.0.type')).toEqual({ text: '"uint7"', at: '3:27' });
		expect(found('abi.0.inputs.1')).toEqual({ text: '{"type": "bool"}', at: '3:37' });
		expect(found('abi.0.payable')).toEqual({ text: 'false', at: '4:17' });
		expect(found('abi')?.at).toBe('1:1');
	});

	it('finds what something is missing from', () => {
		expect(found('abi.1.name')).toEqual({ text: '{"type": "event"}', at: '5:3' });
		expect(found('abi.9.name')?.at).toBe('1:1');
	});

	it('finds it in what a compiler wraps around it', () => {
		const wrapped = `{"contractName": "abi", "abi": ${text}, "bytecode": "0x"}`;
		expect(found('abi.0.inputs.0.type', wrapped)?.text).toBe('"uint7"');
	});

	it('finds lines and columns', () => {
		expect(found('line 2, column 4')).toEqual({ text: '"', at: '2:4' });
		expect(found('line 1, column 99')?.at).toBe('1:99');
		expect(found('line 99, column 1')).toBeNull();
	});

	it('finds nothing in what is no JSON, and does not hang', () => {
		for (const broken of ['', '[', '[{"a"', '[{"a":', '[{"a":1', '[{1:2}]', '["', '[}', '['.repeat(100_000)]) expect(locate(broken, 'abi.0.a'), broken.slice(0, 9)).toBeNull();
		expect(locate(text, 'name')).toBeNull();
	});
});

describe('abiText', () => {
	it('is the array as it is written, wherever it stands', () => {
		expect(abiText(' [1, 2] ')).toEqual({ text: '[1, 2]', from: 1 });
		expect(abiText('{"a": 1, "abi": [ 1 ]}')).toEqual({ text: '[ 1 ]', from: 16 });
		expect(abiText('[1,')).toEqual({ text: '[1,', from: 0 });
	});
});

describe('syntaxError', () => {
	it('says where, and what was awaited', () => {
		for (const [broken, at, awaited] of [
			['[\n  {,]', '2:4', 'a name in double quotes'],
			['[1 2]', '1:4', 'a comma or ]'],
			['{"a" 1}', '1:6', 'a colon'],
			['[1,]', '1:4', 'a value'],
			['[', '1:2', 'a value'],
			['[] []', '1:4', 'nothing more'],
			['["a\nb"]', '1:2', 'the end of this text, and no line break or lone backslash in it'],
			['', '1:1', 'a value'],
			['[01]', '1:2', 'a value'],
			['[truee]', '1:2', 'a value']
		] as const) {
			const found = syntaxError(broken);
			expect(found && [`${found.place.line}:${found.place.column}`, found.awaited], broken).toEqual([at, awaited]);
		}
	});

	it('agrees with the browser on what is JSON', () => {
		const texts = [text, '1', '-0.5e+3', '"\\u00e9\\n"', 'null', ' {} ', '[[],{"":[]}]', '[1.]', '.5', '+1', "['a']", '{a:1}', '[1,,2]', '{"a":1,}', '\u00a0[]', '"\\x"', '[NaN]', '-', '{"a":1}x'];
		for (const one of texts) {
			let good = true;
			try {
				JSON.parse(one);
			} catch {
				good = false;
			}
			expect(syntaxError(one) === null, one).toBe(good);
		}
	});
});
