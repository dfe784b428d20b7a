import { describe, expect, it } from 'vitest';
import { locate, steps } from './locate';

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
