//! `POST /channels/{id}/test` and `/channels/{id}/replay`: messages that somebody asks for.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{Action, Defined, Subject};
use schemas::{
    TimeMs,
    limits::alerts as limits,
    records::{Command, DefinitionKind, DeliveryState},
};
use utoipa::ToSchema;

use super::{
    answer::{Changed, Live, Refused},
    things::{Missing, path_id},
};
use crate::{
    alerts::{Commands, audited, by},
    app::App,
    body::{Body, Fields, MaybeBody},
    door::Who,
    error::ApiError,
    items::{DeliveryItem, ReplayItem},
    params::Params,
};

const WHAT: &str = "channel";
/// How often it is looked whether a change was published.
const PUBLISHED_LOOK: Duration = Duration::from_millis(50);

/// What is to be sent again.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct ReplayBody {
    /// Messages that came about since then.
    #[schema(format = DateTime)]
    since: String,
}

/// The channel of a path.
async fn channel(app: &App, who: &Who, text: &str) -> Result<Defined, ApiError> {
    let id = path_id(text, WHAT)?;
    let found = app.control()?.definition(who.tenant(), DefinitionKind::Channel, &id).await;
    found.map_err(|e| ApiError::of_control(e, WHAT))
}

/// Waits until the stages can know a channel as it is now, so that nothing is asked of them of one that they have not heard of. Not for
/// long: after that they wait themselves, and say where it was in vain.
async fn told(app: &App, who: &Who, channel: &Defined) -> Result<(), ApiError> {
    let control = app.control()?;
    let published = async {
        while !control.is_published(who.tenant(), DefinitionKind::Channel, &channel.id).await? {
            tokio::time::sleep(PUBLISHED_LOOK).await;
        }
        Ok::<(), control::Error>(())
    };
    match tokio::time::timeout(limits::COMMAND_WAIT, published).await {
        Ok(done) => done.map_err(|e| ApiError::of_control(e, WHAT)),
        Err(_) => {
            tracing::warn!(channel = %channel.id, "a channel is to be tried that was not published yet");
            Ok(())
        }
    }
}

/// Writes down that this is asked for, and gives the command.
///
/// # Errors
/// The control store or the log is away; then that is written down, as far as it can be.
pub async fn given(app: &App, who: &Who, asked: (Action, &Subject), command: Command) -> Result<(), ApiError> {
    audited(app, who, asked, app.commands.give(who.tenant().id().as_str(), by(&who.who), command)).await
}

/// Sends a test to a channel.
///
/// The answer is the message before its first attempt; GET its `Location` until `state` is no longer `queued`. It is not there before the
/// alerts' stage has taken it up.
#[utoipa::path(
    post,
    path = "/channels/{id}/test",
    operation_id = "test_channel",
    tag = "alerts",
    params(("id" = String, Path, description = "The channel's id")),
    responses(
        (status = 202, description = "It will be sent", body = DeliveryItem, headers(("Location" = String))),
        Missing,
        Changed,
        Refused
    )
)]
pub async fn test(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    MaybeBody(body): MaybeBody,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let channel = channel(&app, &who, &id).await?;
    body.fields()?.finish()?;
    told(&app, &who, &channel).await?;
    let id = Commands::id();
    let subject = Subject { kind: WHAT, id: channel.id.to_string(), name: Some(channel.name) };
    let command = Command::TestChannel { channel_id: channel.id.to_string(), delivery_id: id.clone() };
    given(&app, &who, (Action::ChannelTest, &subject), command).await?;
    let item = DeliveryItem {
        id: id.clone(),
        alert: None,
        channel: channel.id.to_string(),
        channel_type: channel.definition.get("type").and_then(|kind| kind.as_str()).map(str::to_owned),
        r#type: "channel.test".to_owned(),
        state: DeliveryState::Queued.as_str().to_owned(),
        next_attempt_at: Some(TimeMs::now().rfc3339()),
        attempts: Vec::new(),
    };
    let location = [(header::LOCATION, format!("/api/v1/deliveries/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Live(Json(item))).into_response())
}

/// Sends what came about since a time to a channel again, each message under its id.
///
/// What came about in the last three days can be sent again.
#[utoipa::path(
    post,
    path = "/channels/{id}/replay",
    operation_id = "replay_channel",
    tag = "alerts",
    params(("id" = String, Path, description = "The channel's id")),
    request_body = ReplayBody,
    responses(
        (status = 202, description = "They will be sent", body = ReplayItem),
        Missing,
        Changed,
        Refused
    )
)]
pub async fn replay(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let channel = channel(&app, &who, &id).await?;
    let mut fields = body.fields()?;
    let since = fields.required("since", Fields::time).flatten();
    if since.is_some_and(|since| since > TimeMs::now()) {
        fields.mistake(
            "since",
            "lies ahead",
            "write a time that is over, such as that of the first message that was lost",
        );
    }
    fields.finish()?;
    let Some(since) = since else {
        let missing = schemas::Mistake::new("since", "is null", "write a time such as \"2027-01-31T12:00:00Z\"");
        return Err(ApiError::InvalidBody { mistakes: vec![missing] });
    };
    let subject = Subject { kind: WHAT, id: channel.id.to_string(), name: Some(channel.name) };
    let command = Command::ReplayChannel { channel_id: channel.id.to_string(), since };
    given(&app, &who, (Action::ChannelReplay, &subject), command).await?;
    let item = ReplayItem { channel: channel.id.to_string(), since: since.rfc3339() };
    Ok((StatusCode::ACCEPTED, Live(Json(item))).into_response())
}
