/** Names in the path: no file for each, but the fallback. */
export const prerender = false;
export const ssr = false;
