// Shows openapi.json. Text only: nothing of the document is ever taken for HTML.
"use strict";

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((c) => c !== null && c !== undefined));
  return element;
};

const refName = (ref) => ref.split("/").pop();

const typeOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return make("a", { href: `#schema-${refName(schema.$ref)}` }, refName(schema.$ref));
  const any = schema.oneOf || schema.anyOf;
  if (any) return make("span", {}, ...any.flatMap((s, i) => (i ? [" or ", typeOf(s)] : [typeOf(s)])));
  if (schema.type === "array") return make("span", {}, "array of ", typeOf(schema.items));
  const names = [].concat(schema.type || "object").join(" or ");
  return schema.format ? `${names} (${schema.format})` : names;
};

const table = (heads, rows) =>
  make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...heads.map((h) => make("th", { scope: "col" }, h)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((c) => make("td", {}, c)))))));

const paragraphs = (text) => (text || "").split("\n\n").filter(Boolean).map((t) => make("p", {}, t));

const operation = (path, method, op) => {
  const section = make("section", { class: "operation", id: op.operationId || "" },
    make("h3", {}, make("span", { class: "method" }, method), make("code", {}, path)),
    ...paragraphs(op.summary), ...paragraphs(op.description));
  if (op.parameters && op.parameters.length) {
    section.append(table(["parameter", "in", "type", "meaning"], op.parameters.map((p) =>
      [make("code", {}, p.name), p.in, typeOf(p.schema), p.description || ""])));
  }
  section.append(table(["status", "answer", "meaning"], Object.entries(op.responses).map(([status, r]) => {
    const [content] = Object.entries(r.content || {});
    return [status, content ? typeOf(content[1].schema) || content[0] : "", r.description || ""];
  })));
  return section;
};

const merged = (schema) => {
  const parts = schema.allOf || [schema];
  return parts.map((p) => p.$ref
    ? make("p", {}, "All of ", typeOf(p), ", and:")
    : table(["field", "type", "meaning"], Object.entries(p.properties || {}).map(([name, s]) =>
      [make("code", {}, name), typeOf(s), s.description || ""])));
};

const show = (api) => {
  const page = document.getElementById("page");
  document.getElementById("state").remove();
  page.append(...paragraphs(api.info.description));
  page.append(make("p", { class: "faint" }, `Version ${api.info.version}. `,
    make("a", { href: "/api/v1/openapi.json" }, "openapi.json"), ", ",
    make("a", { href: "/api/v1/asyncapi.json" }, "asyncapi.json")));
  page.append(make("h2", {}, "Routes"));
  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, op] of Object.entries(item)) page.append(operation(path, method, op));
  }
  page.append(make("h2", {}, "Types"));
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    page.append(make("section", { class: "operation", id: `schema-${name}` }, make("h3", {}, make("code", {}, name)),
      ...paragraphs(schema.description), ...merged(schema)));
  }
};

fetch("/api/v1/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`HTTP ${answer.status}`))))
  .then(show)
  .catch((error) => {
    document.getElementById("state").textContent = `openapi.json could not be read: ${error.message}. Reload to try again.`;
  });
