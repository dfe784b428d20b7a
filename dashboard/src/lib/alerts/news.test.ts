import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { news } from './news';

class Socket {
	static all: Socket[] = [];
	static readonly OPEN = 1;
	readyState = 1;
	onopen: (() => void) | null = null;
	onmessage: ((message: { data: string }) => void) | null = null;
	onclose: (() => void) | null = null;
	sent: string[] = [];
	closed = false;
	constructor() {
		Socket.all.push(this);
	}
	send(text: string) {
		this.sent.push(text);
	}
	close() {
		this.closed = true;
	}
	say(frame: object) {
		this.onmessage?.({ data: JSON.stringify(frame) });
	}
}

beforeEach(() => {
	vi.useFakeTimers();
	Socket.all = [];
	vi.stubGlobal('WebSocket', Socket);
	vi.stubGlobal('location', { protocol: 'http:', host: 'h' });
	vi.stubGlobal('document', { visibilityState: 'visible' });
	vi.stubGlobal('navigator', { onLine: true });
});
afterEach(() => {
	vi.useRealTimers();
	vi.unstubAllGlobals();
});

it('is one connection for all, closed with the last', async () => {
	const [a, b] = [vi.fn(async () => {}), vi.fn(async () => {})];
	const [endA, endB] = [news(a), news(b)];
	expect(Socket.all).toHaveLength(1);
	const [socket] = Socket.all;
	socket!.onopen?.();
	expect(JSON.parse(socket!.sent[0] ?? '')).toMatchObject({ op: 'subscribe', topics: ['alerts'] });
	socket!.say({ type: 'subscribed', id: 1 });
	await vi.advanceTimersByTimeAsync(600);
	expect([a.mock.calls.length, b.mock.calls.length]).toEqual([1, 1]);
	endA();
	expect(socket!.closed).toBe(false);
	endB();
	expect(socket!.closed).toBe(true);
});

it('is not heard while it is read, and the last word is', async () => {
	const done: (() => void)[] = [];
	const heard = vi.fn(() => new Promise<void>((resolve) => done.push(resolve)));
	const end = news(heard);
	const [socket] = Socket.all;
	for (let i = 0; i < 50; i++) socket!.say({ type: 'alert' });
	await vi.advanceTimersByTimeAsync(600);
	expect(heard).toHaveBeenCalledTimes(1);
	socket!.say({ type: 'alert' });
	await vi.advanceTimersByTimeAsync(2_000);
	expect(heard).toHaveBeenCalledTimes(1);
	done[0]?.();
	await vi.advanceTimersByTimeAsync(600);
	expect(heard).toHaveBeenCalledTimes(2);
	end();
});

it('is asked for now and then without a connection', async () => {
	const heard = vi.fn(async () => {});
	const end = news(heard);
	await vi.advanceTimersByTimeAsync(16_000);
	expect(heard.mock.calls.length).toBeGreaterThan(0);
	end();
	heard.mockClear();
	await vi.advanceTimersByTimeAsync(60_000);
	expect(heard).not.toHaveBeenCalled();
});
