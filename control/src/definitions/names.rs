//! Things that a definition names: channels in rules and monitors, rules, monitors and channels in silences. They are written by id or by
//! name, and kept by id, so that a new name changes nothing.

use schemas::records::DefinitionKind;
use serde_json::Value as Json;

use super::{BY_NAME, GET_NAME, NAMES};
use crate::{
    db::{Tx, Value},
    error::{Error, Mistake},
    id::Id,
};

/// Names that a cure lists.
const LISTED: i64 = 10;

/// Puts ids in the place of names.
///
/// # Errors
/// Something is named that is not there ([`Error::Invalid`]), or the store is away.
pub(super) async fn resolve(tx: &mut Tx, kind: DefinitionKind, definition: &mut Json) -> Result<(), Error> {
    let mut mistakes = Vec::new();
    match kind {
        DefinitionKind::Rule | DefinitionKind::Monitor => {
            if let Some(list) = definition.get_mut("channels") {
                channels(tx, "channels", list, &mut mistakes).await?;
            }
            let routes = definition.get_mut("routes").and_then(Json::as_array_mut);
            for (at, route) in routes.into_iter().flatten().enumerate() {
                if let Some(list) = route.get_mut("channels") {
                    channels(tx, &format!("routes.{at}.channels"), list, &mut mistakes).await?;
                }
            }
            if let Some(list) = definition.get_mut("escalate").and_then(|escalate| escalate.get_mut("channels")) {
                channels(tx, "escalate.channels", list, &mut mistakes).await?;
            }
        }
        DefinitionKind::Silence => {
            for of in [DefinitionKind::Rule, DefinitionKind::Monitor, DefinitionKind::Channel] {
                let Some(named) = definition.get_mut("match").and_then(|fits| fits.get_mut(of.as_str())) else {
                    continue;
                };
                let Some(text) = named.as_str().map(str::to_owned) else { continue };
                match find(tx, of, &text).await? {
                    Some(id) => *named = id.to_string().into(),
                    // A silence may outlive what it is for.
                    None if text.parse::<Id>().is_ok() => {}
                    None => mistakes.push(nothing(tx, of, format!("match.{}", of.as_str()), &text).await?),
                }
            }
        }
        DefinitionKind::Channel => {}
    }
    if mistakes.is_empty() { Ok(()) } else { Err(Error::Invalid(mistakes)) }
}

async fn channels(tx: &mut Tx, path: &str, list: &mut Json, mistakes: &mut Vec<Mistake>) -> Result<(), Error> {
    let Some(written) = list.as_array() else { return Ok(()) };
    let mut ids: Vec<Json> = Vec::with_capacity(written.len());
    for (at, text) in written.iter().enumerate() {
        let text = text.as_str().unwrap_or_default();
        match find(tx, DefinitionKind::Channel, text).await? {
            Some(id) => {
                let id = Json::from(id.to_string());
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            None => mistakes.push(nothing(tx, DefinitionKind::Channel, format!("{path}.{at}"), text).await?),
        }
    }
    *list = Json::Array(ids);
    Ok(())
}

/// The thing of this id, or else of this name.
async fn find(tx: &mut Tx, kind: DefinitionKind, text: &str) -> Result<Option<Id>, Error> {
    if let Ok(id) = text.parse::<Id>()
        && tx.row(GET_NAME, &[kind.as_str().into(), Value::from(&id)]).await?.is_some()
    {
        return Ok(Some(id));
    }
    let row = tx.row(BY_NAME, &[kind.as_str().into(), text.into()]).await?;
    row.map(|row| row.parsed("id")).transpose()
}

async fn nothing(tx: &mut Tx, kind: DefinitionKind, path: String, text: &str) -> Result<Mistake, Error> {
    let word = kind.as_str();
    let rows = tx.rows(NAMES, &[word.into(), LISTED.into()]).await?;
    let names =
        rows.iter().map(|row| row.text("name").map(|name| format!("`{name}`"))).collect::<Result<Vec<_>, _>>()?;
    let cure = match names.is_empty() {
        true => format!("make the {word} first: there is none"),
        false => format!("write the id or the name of one, such as {}", names.join(", ")),
    };
    let text: String = text.chars().take(80).collect();
    Ok(Mistake::new(path, format!("names no {word}: `{text}`"), cure))
}
