//! What an organisation had defined, made anew in another one.
//!
//! Guarantee: every id is new, and whatever named another thing of the document names it still. All of it is looked at before any of it is
//! made; what is made is in the audit, thing by thing. Nothing of the document's history is taken over: keys, members, the audit and alerts
//! are the other organisation's. Channels whose secrets were left out are there and disabled, and say so.

use std::collections::HashMap;

use schemas::{Mistake, limits::control as limits, records::DefinitionKind};
use serde_json::Value as Json;

use super::document::{FORMAT, HISTORY, WITHOUT_SECRETS, has_secret, renamed};
use crate::{
    audit::{Action, Change, Outcome, Subject},
    contracts::{self, Checked, NewContract},
    definitions::{Bounds, Incoming},
    error::Error,
    id::Id,
    open::Control,
    sealer::Sealer,
    tenant::Caller,
};

/// Things that are made in one transaction: others wait for no more than that.
const AT_ONCE: usize = 50;

/// What came of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Imported {
    /// Contracts that were added; one that is the operator's here is not.
    pub contracts: usize,
    /// Channels that were made.
    pub channels: usize,
    /// Rules.
    pub rules: usize,
    /// Monitors.
    pub monitors: usize,
    /// Silences.
    pub silences: usize,
    /// Names of the channels that are disabled, since their secrets were not in the document.
    pub without_secrets: Vec<String>,
}

/// A line that is looked at.
struct Line<'a> {
    number: usize,
    kind: &'a str,
    json: &'a Json,
}

impl Line<'_> {
    fn wrong(&self, problem: impl Into<String>, cure: impl Into<String>) -> Mistake {
        Mistake::new(format!("line {}", self.number), problem, cure)
    }

    fn id(&self) -> Result<String, Mistake> {
        let id = self.json.get("id").and_then(Json::as_str).filter(|id| id.parse::<Id>().is_ok());
        id.map(str::to_owned).ok_or_else(|| self.wrong("has no id", "take the file as the export wrote it"))
    }

    /// What is wrong in it, with the line before each path.
    fn of(&self, error: Error) -> Error {
        match error {
            Error::Invalid(mistakes) => {
                let of = |m: Mistake| Mistake { path: format!("line {}: {}", self.number, m.path), ..m };
                Error::Invalid(mistakes.into_iter().map(of).collect())
            }
            error => error,
        }
    }
}

/// Something that is to be made, and its id in the document.
enum Thing {
    Contract(Checked),
    Defined(DefinitionKind, Box<Incoming>, bool),
}

impl Control {
    /// Makes what a document defines in the organisation of `by`, which is best a new one. Whatever is there already under a name is in
    /// the way.
    ///
    /// # Errors
    /// The document, or something in it, has mistakes: each is told with its line, and nothing was made. A name is taken, there are too many,
    /// or the store is away: what was made until then stays.
    pub async fn import(&self, by: Caller<'_>, document: &str, bounds: &Bounds) -> Result<Imported, Error> {
        let things = read(document, bounds).await?;
        self.make_all(by, things, bounds).await
    }

    /// The same in a new organisation of this name, of which the caller, a person, is the owner.
    ///
    /// # Errors
    /// As of [`Control::import`] and [`Control::found_organisation`]; what was made until then is deleted again.
    pub async fn import_organisation(
        &self,
        by: Caller<'_>,
        name: &str,
        document: &str,
        bounds: &Bounds,
    ) -> Result<(Id, Imported), Error> {
        let things = read(document, bounds).await?;
        let founded = self.found_organisation(by, name, None).await?;
        let (by, id) = (Caller { who: &founded.who, ..by }, founded.organisation.id);
        match self.make_all(by, things, bounds).await {
            Ok(imported) => Ok((id, imported)),
            Err(error) => {
                if let Err(why) = self.delete_organisation(by, &id).await {
                    tracing::warn!(organisation = %id, error = %why, "half of an import is there, and is to be deleted by hand");
                }
                Err(error)
            }
        }
    }

    async fn make_all(&self, by: Caller<'_>, things: Vec<(String, Thing)>, bounds: &Bounds) -> Result<Imported, Error> {
        let mut ids = HashMap::new();
        let mut imported = Imported::default();
        let sealer = Sealer::new(&self.pepper);
        let mut left = things.into_iter().peekable();
        let mut first = true;
        while first || left.peek().is_some() {
            let mut change = Change::begin(&self.db, &self.pepper, by).await?;
            let done = async {
                if std::mem::take(&mut first) {
                    let subject = Subject { kind: "organisation", id: by.who.tenant().id().to_string(), name: None };
                    change.audit(Action::OrganisationImport, &subject, None, None, Outcome::Done).await?;
                }
                for (was, thing) in left.by_ref().take(AT_ONCE) {
                    make(&mut change, &sealer, bounds, &mut ids, &mut imported, was, thing).await?;
                }
                Ok(())
            };
            let done = done.await;
            change.end(done).await?;
        }
        Ok(imported)
    }
}

async fn make(
    change: &mut Change<'_>,
    sealer: &Sealer,
    bounds: &Bounds,
    ids: &mut HashMap<String, Id>,
    imported: &mut Imported,
    was: String,
    thing: Thing,
) -> Result<(), Error> {
    let id = match thing {
        Thing::Contract(contract) => match contracts::create(change, &contract, None).await {
            Ok(created) => {
                imported.contracts += 1;
                created.made.id
            }
            // The operator has it, or a rule wanted it.
            Err(Error::Taken { id }) => id,
            Err(error) => return Err(error),
        },
        Thing::Defined(kind, mut incoming, without_secrets) => {
            renamed(incoming.definition_mut(), ids);
            let name = incoming.name().to_owned();
            let id = incoming.make(change, sealer, bounds).await?;
            match kind {
                DefinitionKind::Channel => imported.channels += 1,
                DefinitionKind::Rule => imported.rules += 1,
                DefinitionKind::Monitor => imported.monitors += 1,
                DefinitionKind::Silence => imported.silences += 1,
            }
            if without_secrets {
                imported.without_secrets.push(name);
            }
            id
        }
    };
    ids.insert(was, id);
    Ok(())
}

/// All that a document defines, with its ids there, in the order in which it can be made.
async fn read(document: &str, bounds: &Bounds) -> Result<Vec<(String, Thing)>, Error> {
    let (mut things, mut mistakes, mut begun) = (Vec::new(), Vec::new(), false);
    for (at, text) in document.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let json: Json = match serde_json::from_str(text) {
            Ok(json) => json,
            Err(error) => {
                let cure = "take the file as the export wrote it: an object of JSON in each line";
                mistakes.push(Mistake::new(format!("line {}", at + 1), error.to_string(), cure));
                break;
            }
        };
        let kind = json.get("kind").and_then(Json::as_str).unwrap_or_default();
        let line = Line { number: at + 1, kind, json: &json };
        if !begun {
            begun = true;
            head(&line).map_err(|mistake| Error::Invalid(vec![mistake]))?;
            continue;
        }
        if kind == HISTORY {
            break;
        }
        match thing(&line, bounds).await {
            Ok(thing) => things.push(thing),
            Err(Error::Invalid(more)) => mistakes.extend(more),
            Err(error) => return Err(error),
        }
        if mistakes.len() >= limits::MISTAKES {
            break;
        }
        if things.len() > limits::IMPORTED {
            let mistake = line.wrong(
                format!("is more than the {} things that are imported at once", limits::IMPORTED),
                "leave out what is not needed",
            );
            return Err(Error::Invalid(vec![mistake]));
        }
    }
    if !begun {
        mistakes.push(Mistake::new("line 1", "is missing", "send the file that an export wrote"));
    }
    if mistakes.is_empty() { Ok(things) } else { Err(Error::Invalid(mistakes)) }
}

fn head(line: &Line<'_>) -> Result<(), Mistake> {
    if line.kind != FORMAT.0 {
        let cure = format!("send the file that an export wrote: its first line has `\"kind\":\"{}\"`", FORMAT.0);
        return Err(line.wrong("is not the beginning of an export", cure));
    }
    match line.json.get("version").and_then(Json::as_u64) {
        Some(version) if version == FORMAT.1 => Ok(()),
        _ => Err(line.wrong(
            "is of a version that this one does not know",
            format!("export it again with a version that writes version {}", FORMAT.1),
        )),
    }
}

async fn thing(line: &Line<'_>, bounds: &Bounds) -> Result<(String, Thing), Error> {
    let id = line.id().map_err(|mistake| Error::Invalid(vec![mistake]))?;
    if line.kind == "contract" {
        let fields = ["network", "address", "name", "labels", "abi"];
        let kept = fields.iter().filter_map(|name| Some(((*name).to_owned(), line.json.get(*name)?.clone())));
        let new: NewContract = serde_json::from_value(Json::Object(kept.collect())).map_err(|error| {
            Error::Invalid(vec![line.wrong(error.to_string(), "take the file as the export wrote it")])
        })?;
        return Ok((id, Thing::Contract(new.checked().map_err(|error| line.of(error))?)));
    }
    let Some(kind) = DefinitionKind::of_word(line.kind) else {
        let mistake = line.wrong(
            format!("is of the kind `{}`, which this version does not know", line.kind.escape_debug()),
            "leave the line out",
        );
        return Err(Error::Invalid(vec![mistake]));
    };
    let definition = line.json.get("definition").unwrap_or(&Json::Null);
    let without_secrets = kind == DefinitionKind::Channel && has_secret(definition);
    let disabled = match (without_secrets, line.json.get("disabled_reason").and_then(Json::as_str)) {
        (true, _) => Some(WITHOUT_SECRETS.to_owned()),
        (false, reason) => reason.map(|reason| reason.chars().take(limits::DISABLED_CHARACTERS).collect()),
    };
    let incoming = Incoming::new(kind, definition, disabled, without_secrets, bounds).await;
    let incoming = incoming.map_err(|error| line.of(error))?;
    Ok((id, Thing::Defined(kind, Box::new(incoming), without_secrets)))
}
