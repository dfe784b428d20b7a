//! One file per route. The router is also the OpenAPI document: what is not documented is not served under `/api/v1`.

pub mod ack;
pub mod alerts;
pub mod annotations;
pub mod answer;
pub mod asyncapi;
pub mod audit;
pub mod auth;
pub mod block;
pub mod blocks;
pub mod causes;
pub mod completeness;
pub mod contracts;
pub mod dashboard;
pub mod definitions;
pub mod deliveries;
pub mod diagnosis;
pub mod docs;
pub mod export;
pub mod failures;
pub mod health;
pub mod keys;
pub mod life;
pub mod matches;
pub mod members;
pub mod message_preview;
pub mod messages;
pub mod openapi_json;
pub mod organisations;
pub mod overview;
pub mod platform;
pub mod preview;
pub mod problems;
pub mod providers;
pub mod registry;
pub mod rule_preview;
pub mod search;
pub mod series;
pub mod sql;
pub mod things;
pub mod tx;
pub mod txs;
pub mod usage;

use std::sync::Arc;

use axum::{Router, routing::get};
use definitions::{channels, monitors, rules, silences};
use utoipa::{OpenApi, openapi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Headwater",
        description = "Blocks and transactions of many chains. Heights, counts and milliseconds are numbers; amounts are decimal \
            strings in the chain's smallest unit; times are RFC 3339 in UTC with milliseconds. Lists have `limit` (1 to 1,000, \
            50 by default) and `cursor`; a page may be short and still have a `next`. Mistakes are RFC 9457 problems. Only \
            canonical rows are shown: what a reorg removed is gone. The live WebSocket at `/api/v1/ws` is described at \
            `/api/v1/asyncapi.json`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "chains", description = "Canonical blocks and transactions from the store"),
        (name = "figures", description = "Rates, prices, fees and more over time, and what is the matter"),
        (name = "state", description = "How Headwater itself is doing"),
        (name = "control", description = "What people create: contracts, keys, and the audit of every change"),
        (name = "alerts", description = "What you want to be told, where, and when not; what you were told"),
        (name = "access", description = "Who is here, and what that may"),
        (name = "live", description = "The WebSocket"),
        (name = "about", description = "These documents"),
    ),
    components(schemas(crate::error::Problem, crate::items::CauseItem, crate::items::WindowItem)),
)]
struct Document;

/// The routes under `/api/v1` and their document.
pub fn rest() -> (Router<Arc<App>>, openapi::OpenApi) {
    let v1 = OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(blocks::blocks))
        .routes(routes!(block::block))
        .routes(routes!(txs::txs))
        .routes(routes!(export::export))
        .routes(routes!(tx::tx))
        .routes(routes!(tx::similar))
        .routes(routes!(tx::endpoints))
        .routes(routes!(overview::overview))
        .routes(routes!(series::series))
        .routes(routes!(causes::causes))
        .routes(routes!(diagnosis::diagnosis))
        .routes(routes!(failures::failures))
        .routes(routes!(search::search))
        .routes(routes!(completeness::completeness))
        .routes(routes!(providers::health))
        .routes(routes!(providers::provider))
        .routes(routes!(sql::sql))
        .routes(routes!(contracts::contracts, contracts::create))
        .routes(routes!(contracts::abi))
        .routes(routes!(contracts::contract, contracts::patch, contracts::delete))
        .routes(routes!(keys::keys, keys::create))
        .routes(routes!(keys::key, keys::patch, keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(organisations::organisations, organisations::create))
        .routes(routes!(organisations::organisation, organisations::patch, life::delete))
        .routes(routes!(organisations::transfer))
        .routes(routes!(organisations::accept))
        .routes(routes!(members::members, members::invite))
        .routes(routes!(members::patch, members::remove))
        .routes(routes!(platform::organisations))
        .routes(routes!(platform::organisation, platform::patch))
        .routes(routes!(platform::suspend))
        .routes(routes!(platform::resume))
        .routes(routes!(life::ask))
        .routes(routes!(life::export))
        .routes(routes!(life::file))
        .routes(routes!(life::import))
        .routes(routes!(life::tombstones))
        .routes(routes!(rules::list, rules::create))
        .routes(routes!(rules::show, rules::patch, rules::delete))
        .routes(routes!(monitors::list, monitors::create))
        .routes(routes!(monitors::show, monitors::patch, monitors::delete))
        .routes(routes!(channels::list, channels::create))
        .routes(routes!(channels::show, channels::patch, channels::delete))
        .routes(routes!(silences::list, silences::create))
        .routes(routes!(silences::show, silences::patch, silences::delete))
        .routes(routes!(alerts::alerts))
        .routes(routes!(alerts::alert))
        .routes(routes!(alerts::acknowledge))
        .routes(routes!(annotations::annotations))
        .routes(routes!(matches::matches))
        .routes(routes!(preview::monitor))
        .routes(routes!(rule_preview::rule))
        .routes(routes!(message_preview::message))
        .routes(routes!(messages::test))
        .routes(routes!(messages::replay))
        .routes(routes!(deliveries::deliveries))
        .routes(routes!(deliveries::delivery))
        .routes(routes!(deliveries::replay))
        .routes(routes!(audit::audit))
        .routes(routes!(usage::usage))
        .routes(routes!(usage::platform))
        .routes(routes!(openapi_json::openapi))
        .routes(routes!(asyncapi::asyncapi))
        .routes(routes!(auth::ways::ways))
        .routes(routes!(auth::sign_up::sign_up))
        .routes(routes!(auth::sign_up::confirm))
        .routes(routes!(auth::log_in::log_in))
        .routes(routes!(auth::sessions::log_out))
        .routes(routes!(auth::sessions::list))
        .routes(routes!(auth::sessions::end))
        .routes(routes!(auth::identities::list))
        .routes(routes!(auth::identities::unlink))
        .routes(routes!(auth::tokens::refresh))
        .routes(routes!(auth::tokens::switch))
        .routes(routes!(auth::password::change))
        .routes(routes!(auth::oidc::begin, auth::oidc::link))
        .routes(routes!(auth::oidc::callback))
        .routes(routes!(auth::oidc::begin_with))
        .routes(routes!(auth::totp::begin, auth::totp::lift))
        .routes(routes!(auth::totp::set))
        .routes(routes!(auth::reset::ask))
        .routes(routes!(auth::reset::confirm))
        .routes(routes!(auth::reset::verify))
        .routes(routes!(auth::reset::send))
        .routes(routes!(auth::me::who_is_here))
        .routes(routes!(crate::ws::upgrade));
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", v1).split_for_parts();
    crate::constraints::describe(&mut document);
    crate::door::describe::describe(&mut document);
    (router, document)
}

/// Every route but the page's files, and the document of those under `/api/v1`.
pub fn all() -> (Router<Arc<App>>, openapi::OpenApi) {
    let (rest, document) = rest();
    let pages = Router::new()
        .route("/docs", get(docs::page))
        .route("/docs/docs.js", get(docs::script))
        .route("/docs/docs.css", get(docs::style))
        .route("/problems/{name}", get(problems::page))
        .route("/.well-known/jwks.json", get(auth::tokens::jwks))
        .route("/ack/{token}", get(ack::ask).post(ack::take_on));
    (rest.merge(pages).merge(registry::routes()), document)
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::RefOr;

    #[test]
    fn every_parameter_of_the_document_has_a_rule() {
        let (_, document) = super::rest();
        let operations = document.paths.paths.values().filter_map(|item| item.get.as_ref());
        let named: Vec<&str> = operations
            .flat_map(|o| o.parameters.iter().flatten())
            .map(|p| match p {
                RefOr::T(p) => p.name.as_str(),
                RefOr::Ref(r) => panic!("a reference: {}", r.ref_location),
            })
            .collect();
        assert!(named.len() > 15, "{named:?}");
        for name in named {
            assert!(crate::constraints::rule(name).is_some(), "{name}");
        }
    }
}
