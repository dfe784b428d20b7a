//! The table of permissions in the OpenAPI document: `security` and `x-permission` of every operation, and the refusals that follow from
//! them.

use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, ResponseBuilder,
    extensions::Extensions,
    path::{Operation, PathItem},
    security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use super::permissions::{Needs, TABLE};

const BEARER: &str = "key";
const SESSION: &str = "session";

/// The operations of a path, with their methods as requests have them.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("GET", item.get.as_mut()),
        ("PUT", item.put.as_mut()),
        ("POST", item.post.as_mut()),
        ("DELETE", item.delete.as_mut()),
        ("OPTIONS", item.options.as_mut()),
        ("HEAD", item.head.as_mut()),
        ("PATCH", item.patch.as_mut()),
        ("TRACE", item.trace.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?)))
}

/// Puts the table into the document.
pub fn describe(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let Some(row) = TABLE.iter().find(|row| row.route == path && row.method == method) else { continue };
            let extensions = operation.extensions.get_or_insert_with(Extensions::default);
            extensions.insert("x-permission".to_owned(), row.needs.word().into());
            operation.security = Some(match row.needs {
                Needs::Nothing => Vec::new(),
                _ => [BEARER, SESSION].map(|name| SecurityRequirement::new(name, [""; 0])).to_vec(),
            });
            refusal(operation, "429", "Too many requests; `Retry-After` and `RateLimit-Reset` say when to come back");
            if row.needs != Needs::Nothing {
                refusal(operation, "401", "No credential, or none that is good (any more)");
                refusal(
                    operation,
                    "403",
                    "The credential may not do this; the problem names the scope that is wanted, or that it has to be a person's",
                );
            }
        }
    }
    let components = document.components.get_or_insert_default();
    let key = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("hw_…");
    let words = "An API key, or (with `[auth] mode` `accounts`) an access token of POST /api/v1/auth/login. Where the mode is `none`, nothing is \
                 wanted.";
    let key = key.description(Some(words));
    components.add_security_scheme(BEARER, SecurityScheme::Http(key.build()));
    let cookie = ApiKeyValue::with_description(
        "hw_session",
        "The page's session, from POST /api/v1/auth/login. Changes also want the header `X-Headwater-Csrf`.",
    );
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
}

/// Adds what the door answers, unless the route says it better.
fn refusal(operation: &mut Operation, status: &str, words: &str) {
    let body = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new().description(words).content("application/problem+json", body).build();
    operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
}
