// What the API knows of a recorded transaction besides its row: the call with its arguments, calls inside, movements of tokens. The
// recorded ones hold no input, so arguments that their events do not tell are made up. For the mock.

const word = (value) => BigInt(value).toString(16).padStart(64, '0');
const hash = (n) => '0x' + n.toString(16).padStart(64, 'a7');

/** By the recorded method: selector, signature with names, and arguments made of the transaction. */
const KNOWN = {
	'transfer(address,uint256)': ['0xa9059cbb', 'transfer(address to, uint256 amount)', (t) => ({ to: t.to, amount: t.amount })],
	'transferFrom(address,address,uint256)': [
		'0x23b872dd',
		'transferFrom(address from, address to, uint256 amount)',
		(t) => ({ from: t.from, to: t.to, amount: t.amount })
	],
	'approve(address,uint256)': ['0x095ea7b3', 'approve(address spender, uint256 amount)', (t) => ({ spender: t.to, amount: ((1n << 256n) - 1n).toString() })],
	'withdraw(uint256)': ['0x2e1a7d4d', 'withdraw(uint256 wad)', (t) => ({ wad: t.amount })],
	'execute(bytes,bytes[],uint256)': [
		'0x3593564c',
		'execute(bytes commands, bytes[] inputs, uint256 deadline)',
		(t) => ({ commands: '0x0b000604', inputs: [1, 2, 3, 4].map((n) => hash(n) + word(t.amount).repeat(n)), deadline: '1710390935' })
	],
	'0x6a761202': [
		'0x6a761202',
		'execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures)',
		(t) => ({ to: t.token, value: '0', data: `0xa9059cbb${word(t.to)}${word(t.amount)}`, operation: '0', safeTxGas: '0', baseGas: '0', gasPrice: '0', gasToken: '0x' + '0'.repeat(40), refundReceiver: '0x' + '0'.repeat(40), signatures: hash(7) + word(t.amount) }),
		(t) => [{ to: t.token, contract: null, value: '0', signature: 'transfer(address to, uint256 amount)', arguments: { to: t.to, amount: t.amount }, method: '0xa9059cbb', input: `0xa9059cbb${word(t.to)}${word(t.amount)}` }]
	],
	'0xc9807539': [
		'0xc9807539',
		'fill((address maker, (address token, uint256 amount)[] offered, bytes32[2] proof)[] orders, string memo, bool exact)',
		(t) => ({
			orders: [1, 2].map((n) => ({ maker: t.from, offered: [{ token: t.token, amount: t.amount }, { token: t.to, amount: String(n) }], proof: [hash(n), hash(n + 1)] })),
			memo: 'as agreed on Thursday',
			exact: true
		})
	]
};

/** What lists say of the method. */
export function methodOf(recorded) {
	const known = KNOWN[recorded.method];
	return { method: known?.[0] ?? recorded.method, signature: known?.[1] ?? null };
}

/** What the transaction's own page shows. */
export function detailOf(recorded, index) {
	const moved = recorded.events.filter((e) => e.arguments?.from && e.arguments.value);
	const first = moved[0];
	const about = {
		from: recorded.from,
		to: first?.arguments.to ?? recorded.from,
		amount: first?.arguments.value ?? '1500000000',
		token: first?.address ?? recorded.to
	};
	const [selector, signature, fill, inner] = KNOWN[recorded.method] ?? [];
	const text = recorded.method === '0x00000000' ? 'gm\nthis is no call but a letter' : null;
	return {
		call: signature ? { signature, arguments: fill(about), contract: null, source: 'builtin', late: index % 5 === 4 } : null,
		inner_calls: inner ? inner(about) : [],
		text,
		input: text
			? '0x' + Buffer.from(text).toString('hex')
			: recorded.method
				? (selector ?? recorded.method) + word(about.to ?? 1) + word(about.amount)
				: '0x',
		events: recorded.events.map((e) => ({ ...e, contract: null, late: false })),
		transfers: moved.map((e) => ({ standard: 'erc20', token: e.address, token_name: null, from: e.arguments.from, to: e.arguments.to, id: null, amount: e.arguments.value, log_index: e.log_index })),
		fee_parts: recorded.fee_parts,
		fee_reason: null,
		fee_token: null,
		fee_token_amount: null,
		gas: Math.ceil((recorded.gas_used * 4) / 3),
		nonce: 17 + index,
		type: 2,
		max_fee_per_gas: recorded.gas_price && String(BigInt(recorded.gas_price) * 2n),
		max_priority_fee_per_gas: '1000000000'
	};
}
