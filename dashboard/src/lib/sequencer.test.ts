import { describe, expect, it } from 'vitest';
import { Sequencer } from './sequencer';
import type { Block, DataFrame, Frame } from './contract';

const block = (sequence: number, network = 'a'): DataFrame => ({
	type: 'block',
	network,
	sequence,
	op: 'apply',
	data: { network, hash: `0x${sequence}`, height: sequence } as Block
});
const position = (sequence: number, network = 'a'): Frame => ({ type: 'position', network, sequence });

describe('Sequencer', () => {
	it('hands an event on when its position has come, per network', () => {
		const s = new Sequencer();
		expect(s.push(block(1))).toBeNull();
		expect(s.push(block(1, 'b'))).toBeNull();
		expect(s.push(position(1))).toEqual({ kind: 'event', network: 'a', frames: [block(1)] });
		expect(s.position('a')).toBe(1);
		expect(s.position('b')).toBeUndefined();
	});

	it('forgets a torn event with the connection and takes the whole one after it, once', () => {
		const s = new Sequencer();
		s.seed('a', 4);
		s.push(block(5));
		s.disconnected();
		expect(s.position('a')).toBe(4);
		s.push(block(5));
		expect(s.push(position(5))).toEqual({ kind: 'event', network: 'a', frames: [block(5)] });
		s.push(block(5));
		expect(s.push(position(5))).toBeNull();
	});

	it('leaves out what is known from elsewhere', () => {
		const s = new Sequencer();
		s.seed('a', 7);
		for (const n of [6, 7]) expect(s.push(block(n))).toBeNull();
		expect(s.push(position(7))).toBeNull();
	});

	it('goes on behind a gap', () => {
		const s = new Sequencer();
		s.seed('a', 7);
		s.push(block(8));
		expect(s.push({ type: 'gap', network: 'a', from: 8, to: 90 })).toEqual({ kind: 'gap', network: 'a', from: 8, to: 90 });
		expect(s.position('a')).toBe(90);
		s.push(block(91));
		expect(s.push(position(91))).toMatchObject({ kind: 'event' });
	});

	it('reports a position that goes back', () => {
		const s = new Sequencer();
		s.seed('a', 5000);
		s.push(block(3));
		expect(s.push(position(3))).toEqual({ kind: 'restart', network: 'a' });
		s.push(block(4));
		expect(s.push(position(4))).toMatchObject({ kind: 'event' });
	});
});
