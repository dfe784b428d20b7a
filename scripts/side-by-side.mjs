#!/usr/bin/env node
// Runs what `cargo test ARGUMENTS` runs: those of many long tests each by itself, with a test more at a time than there are cores, since
// each waits for servers, kills and clocks now and then; then the others a few at a time. What each printed comes whole, when it has ended.
//
//   scripts/side-by-side.mjs cargo test --workspace --locked
//
// HEADWATER_LANES: how many at a time (2), the longest first. Documentation's tests are one of them, by cargo itself. The exit status
// is cargo's: 101 when a test failed; then a line as cargo's names how that binary is run again.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';

const lanes = Number(process.env.HEADWATER_LANES ?? 2);
const alone = ['system', 'sink'];
const threads = process.env.RUST_TEST_THREADS ?? String(availableParallelism() + 1);
const longest = [...alone, 'api', 'large', 'resilience', 'engine', 'deliver', 'failures', 'control'];
const [cargo, ...args] = process.argv.slice(2);
const run = (command, rest, { cwd, env, echo }) =>
	new Promise((resolve) => {
		const child = spawn(command, rest, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
		const out = [];
		child.stdout.on('data', (bytes) => out.push(bytes));
		child.stderr.on('data', (bytes) => (echo ? process.stderr.write(bytes) : out.push(bytes)));
		child.on('error', (error) => resolve({ code: 1, text: `${error}\n` }));
		child.on('close', (code) => resolve({ code: code ?? 101, text: Buffer.concat(out).toString() }));
	});

if (cargo === undefined || !Number.isInteger(lanes) || lanes < 1) {
	console.error('usage: scripts/side-by-side.mjs cargo test ARGUMENTS; HEADWATER_LANES is a whole number from 1 on');
	process.exit(2);
}
const built = await run(cargo, [...args, '--no-run', '--message-format=json-render-diagnostics'], { echo: true });
if (built.code !== 0) process.exit(built.code);
const binaries = built.text
	.split('\n')
	.filter((line) => line.startsWith('{'))
	.map((line) => JSON.parse(line))
	.filter((said) => said.reason === 'compiler-artifact' && said.profile.test && said.executable)
	.map(({ executable, manifest_path, target }) => {
		const cwd = dirname(manifest_path);
		const kind = target.kind.includes('test') ? `--test ${target.name}` : target.kind.includes('bin') ? `--bin ${target.name}` : '--lib';
		const name = `-p ${cwd.split('/').at(-1)} ${kind}`;
		const isAlone = alone.includes(target.name);
		const env = { CARGO_MANIFEST_DIR: cwd, ...(isAlone && { RUST_TEST_THREADS: threads }) };
		return { name, alone: isAlone, rank: longest.indexOf(target.name), start: () => run(executable, [], { cwd, env }) };
	});
binaries.push({ name: '--doc', rank: longest.length, start: () => run(cargo, [...args, '--doc'], {}) });
const place = ({ rank }) => (rank < 0 ? longest.length + 1 : rank);
binaries.sort((a, b) => place(a) - place(b));

const failed = [];
const lane = async (some) => {
	for (let next = some.shift(); next !== undefined; next = some.shift()) {
		const began = Date.now();
		console.log(`     Begins ${next.name}`);
		const { code, text } = await next.start();
		process.stdout.write(`\n     Running ${next.name} (${Math.round((Date.now() - began) / 1000)} s)\n${text}`);
		if (code !== 0) {
			failed.push(next.name);
			process.stdout.write(`error: test failed, to rerun pass \`${next.name}\`\n`);
		}
	}
};
await lane(binaries.filter((binary) => binary.alone));
const others = binaries.filter((binary) => !binary.alone);
await Promise.all(Array.from({ length: lanes }, () => lane(others)));
if (failed.length > 0) console.log(`error: ${failed.length} targets failed:\n${failed.map((name) => `    \`${name}\``).join('\n')}`);
process.exitCode = failed.length > 0 ? 101 : 0;
