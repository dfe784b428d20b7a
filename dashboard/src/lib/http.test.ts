import { describe, expect, it } from 'vitest';
import { problemOf, RequestError, toProblem } from './http';

describe('problemOf', () => {
	it('takes title and detail of a problem document', () => {
		const body = '{"type":"about:blank","title":"No such transaction","detail":"0xab is not known","status":404}';
		expect(problemOf(404, 'Not Found', body)).toEqual({
			title: 'No such transaction',
			detail: '0xab is not known',
			status: 404
		});
	});

	it('makes one of the status line when the body is something else', () => {
		expect(problemOf(502, 'Bad Gateway', '<html>').title).toBe('502 Bad Gateway');
		expect(problemOf(500, '', 'null').title).toBe('500');
		expect(problemOf(500, '', '{"title":5}').title).toBe('500');
	});
});

describe('toProblem', () => {
	it('keeps a problem and words everything else', () => {
		const problem = { title: 'No answer' };
		expect(toProblem(new RequestError(problem))).toBe(problem);
		expect(toProblem(new TypeError('x is undefined')).detail).toBe('x is undefined');
	});
});
