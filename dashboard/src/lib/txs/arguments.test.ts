import { describe, expect, it } from 'vitest';
import { argumentsOf, calledName, meaning, signatureOf, typesOf } from './arguments';

const SWAP = 'swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] path, address to, uint256 deadline)';

describe('signatures', () => {
	it('are read with names, `indexed` and tuples', () => {
		expect(signatureOf('Transfer(address indexed from, address indexed to, uint256 value)')).toEqual({
			name: 'Transfer',
			parameters: [
				{ name: 'from', type: 'address', indexed: true, components: null },
				{ name: 'to', type: 'address', indexed: true, components: null },
				{ name: 'value', type: 'uint256', indexed: false, components: null }
			]
		});
		const nested = signatureOf('fill((address token, (uint256 id, bytes32[2] proof)[] parts)[] orders, tuple(bool a) b)');
		expect(typesOf(nested!)).toBe('fill((address,(uint256,bytes32[2])[])[],(bool))');
		expect(nested?.parameters[0]?.type).toBe('tuple[]');
		expect(nested?.parameters[0]?.components?.[1]).toMatchObject({ name: 'parts', type: 'tuple[]' });
		expect(signatureOf('deposit()')).toEqual({ name: 'deposit', parameters: [] });
	});

	it('are read without names, and with words that say nothing of the type', () => {
		expect(signatureOf('transfer(address,uint256)')?.parameters.map((p) => [p.name, p.type])).toEqual([['', 'address'], ['', 'uint256']]);
		expect(signatureOf('function f(bytes calldata data) external')?.parameters[0]).toMatchObject({ name: 'data', type: 'bytes' });
	});

	it('are null for anything else', () => {
		for (const text of [null, undefined, '', '0xa9059cbb', 'f(', 'f(a b', 'f(a,)', 'f(,a)', 'f' + '('.repeat(100), 'f(a]']) {
			expect(signatureOf(text), String(text)).toBeNull();
		}
	});

	it('name what was called', () => {
		expect(calledName(SWAP)).toBe('swapExactTokensForTokens');
		expect(calledName('transfer(address,uint256)')).toBe('transfer');
		expect(calledName(null)).toBeNull();
		expect(calledName('0xa9059cbb')).toBeNull();
	});
});

describe('arguments', () => {
	it('go by the signature: order, names, types, and what is in arrays', () => {
		const tree = argumentsOf(SWAP, { to: '0x02', path: ['0x0a', '0x0b'], amountOutMin: '1', amountIn: '90071992547409930000', deadline: '1700000000' });
		expect(tree.map((a) => [a.name, a.type, a.value])).toEqual([
			['amountIn', 'uint256', '90071992547409930000'],
			['amountOutMin', 'uint256', '1'],
			['path', 'address[]', null],
			['to', 'address', '0x02'],
			['deadline', 'uint256', '1700000000']
		]);
		expect(tree[2]?.items?.map((a) => [a.name, a.type, a.value])).toEqual([['0', 'address', '0x0a'], ['1', 'address', '0x0b']]);
	});

	it('without a name go by position, and so do doubled names', () => {
		const tree = argumentsOf('f(uint256, bool a, address a)', '{"0":"5","a":true,"2":"0x01"}');
		expect(tree.map((a) => [a.name, a.type, a.value])).toEqual([['0', 'uint256', '5'], ['a', 'bool', 'true'], ['a', 'address', '0x01']]);
	});

	it('in tuples in arrays keep their types', () => {
		const tree = argumentsOf('f((address token, uint256[2] amounts)[] orders)', { orders: [{ token: '0x01', amounts: ['1', '2'] }] });
		const order = tree[0]?.items?.[0];
		expect(order).toMatchObject({ name: '0', type: 'tuple' });
		expect(order?.items?.[1]?.items?.[1]).toEqual({ name: '1', type: 'uint256', indexed: false, value: '2', items: null });
	});

	it('that do not fit the signature are shown all the same', () => {
		expect(argumentsOf('f(uint256 a)', { b: '7', c: { d: null } })).toEqual([
			{ name: 'b', type: '', indexed: false, value: '7', items: null },
			{ name: 'c', type: '', indexed: false, value: null, items: [{ name: 'd', type: '', indexed: false, value: null, items: null }] }
		]);
		expect(argumentsOf(null, 'no JSON')[0]?.value).toBe('no JSON');
		expect(argumentsOf(SWAP, null)).toEqual([]);
		expect(argumentsOf(SWAP, '')).toEqual([]);
		expect(argumentsOf('f(uint256 constructor)', {})).toEqual([]);
	});

	it('say what they mean where that is sure', () => {
		const of = (name: string, value: string, type = 'uint256') => meaning({ name, type, value, indexed: false, items: null });
		expect(of('amount', ((1n << 256n) - 1n).toString())).toBe('the largest there is');
		expect(of('deadline', '1700000000')).toBe('2023-11-14T22:13:20Z');
		expect(of('amount', '1700000000')).toBeNull();
		expect(of('deadline', '5')).toBeNull();
		expect(of('deadline', '1700000000', 'bytes32')).toBeNull();
	});
});
