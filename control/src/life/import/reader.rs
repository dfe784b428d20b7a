//! A document that is read while it comes, line by line.
//!
//! Guarantee: of the text no more than a line is held, of what it defines no more than [`limits::IMPORT_BYTES`] and so many of each kind as an
//! organisation may have. Every thing is looked at as if somebody had sent it; each mistake is told with its line and field, up to
//! [`limits::MISTAKES`]. A document that ends before its line of the kind `history` was cut off, and is refused.

use std::collections::{HashMap, HashSet};

use schemas::{Mistake, limits::control as limits, records::DefinitionKind};
use serde_json::Value as Json;

use super::super::document::{FORMAT, HISTORY, WITHOUT_SECRETS, has_secret};
use crate::{
    contracts::{Checked, NewContract},
    definitions::{Bounds, Incoming},
    error::Error,
    id::Id,
};

/// What to do about a line that no export has written.
const AS_IT_IS: &str = "take the file as the export wrote it";

/// Something that is to be made.
pub(super) struct Thing {
    /// Where it stands in the document, from 1 on.
    pub line: usize,
    /// Its id there.
    pub was: String,
    pub what: What,
}

pub(super) enum What {
    Contract(Box<Checked>),
    Defined { kind: DefinitionKind, incoming: Box<Incoming>, without_secrets: bool },
}

/// All that a document defines, without mistakes, in the order in which it can be made.
pub struct ToImport {
    pub(super) things: Vec<Thing>,
    pub(super) at_once: usize,
}

impl ToImport {
    /// How many things it defines.
    pub fn len(&self) -> usize {
        self.things.len()
    }

    /// Whether it defines nothing.
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// With so many things in one transaction, at least one; otherwise [`limits::IMPORTED_AT_ONCE`].
    #[must_use]
    pub fn at_once(self, things: usize) -> Self {
        Self { at_once: things.max(1), ..self }
    }
}

/// A document that is being read.
pub struct ImportReader<'a> {
    bounds: &'a Bounds,
    /// What there is of the next line.
    line: Vec<u8>,
    /// Lines that were read.
    number: usize,
    bytes: usize,
    begun: bool,
    /// The line of the kind `history` was read.
    whole: bool,
    /// Nothing more is read.
    over: bool,
    contracts: Vec<Thing>,
    defined: Vec<Thing>,
    counts: HashMap<&'static str, usize>,
    ids: HashSet<String>,
    mistakes: Vec<Mistake>,
}

impl<'a> ImportReader<'a> {
    /// At a document's beginning.
    pub fn new(bounds: &'a Bounds) -> Self {
        Self {
            bounds,
            line: Vec::new(),
            number: 0,
            bytes: 0,
            begun: false,
            whole: false,
            over: false,
            contracts: Vec::new(),
            defined: Vec::new(),
            counts: HashMap::new(),
            ids: HashSet::new(),
            mistakes: Vec::new(),
        }
    }

    /// All of a text.
    ///
    /// # Errors
    /// As of [`Self::end`].
    pub async fn read(mut self, text: &str) -> Result<ToImport, Error> {
        self.take(text.as_bytes()).await?;
        self.end().await
    }

    /// Lines that were read until now.
    pub fn lines(&self) -> usize {
        self.number
    }

    /// The next piece. `false`: no more is wanted, since all that counts was read or there are mistakes enough.
    ///
    /// # Errors
    /// A channel's target could not be looked up.
    pub async fn take(&mut self, mut piece: &[u8]) -> Result<bool, Error> {
        while !self.over && !piece.is_empty() {
            let end = piece.iter().position(|byte| *byte == b'\n');
            let (part, rest) = piece.split_at(end.unwrap_or(piece.len()));
            piece = rest.get(1..).unwrap_or_default();
            if self.keep(part) && end.is_some() {
                self.next().await?;
            }
        }
        Ok(!self.over)
    }

    /// That was all.
    ///
    /// # Errors
    /// It has mistakes: each is told with its line.
    pub async fn end(mut self) -> Result<ToImport, Error> {
        if !self.over && !self.line.is_empty() {
            self.next().await?;
        }
        if !self.begun && self.mistakes.is_empty() {
            self.mistakes.push(Mistake::new("line 1", "is missing", "send the file that an export wrote"));
        } else if !self.whole && self.mistakes.is_empty() {
            let problem = format!("is missing: before a line of the kind `{HISTORY}` the file was cut off");
            self.mistakes.push(Mistake::new(format!("line {}", self.number + 1), problem, "send all of the file"));
        }
        if !self.mistakes.is_empty() {
            return Err(Error::Invalid(self.mistakes));
        }
        // As of all who say of several addresses that they are watched: so none waits for another in a circle.
        self.contracts.sort_by(|a, b| a.place().cmp(&b.place()));
        self.contracts.append(&mut self.defined);
        Ok(ToImport { things: self.contracts, at_once: limits::IMPORTED_AT_ONCE })
    }

    /// Takes a part of a line, where there is room for it.
    fn keep(&mut self, part: &[u8]) -> bool {
        self.bytes += part.len() + 1;
        let problem = if self.bytes > limits::IMPORT_BYTES {
            format!("is beyond the {} MiB that an import may have", limits::IMPORT_BYTES >> 20)
        } else if self.line.len() + part.len() > limits::IMPORT_LINE_BYTES {
            format!("is longer than {} KiB", limits::IMPORT_LINE_BYTES >> 10)
        } else {
            self.line.extend_from_slice(part);
            return true;
        };
        self.over = true;
        self.mistakes.push(Mistake::new(format!("line {}", self.number + 1), problem, AS_IT_IS));
        false
    }

    /// Looks at the line that is there.
    async fn next(&mut self) -> Result<(), Error> {
        self.number += 1;
        let text = std::mem::take(&mut self.line);
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        match self.look(&text).await {
            Ok(()) => {}
            Err(Error::Invalid(more)) => self.mistakes.extend(more),
            Err(error) => return Err(error),
        }
        // What no export has written has no good line behind it.
        self.over |= self.mistakes.len() >= limits::MISTAKES || !self.begun;
        self.line = text;
        self.line.clear();
        Ok(())
    }

    async fn look(&mut self, text: &[u8]) -> Result<(), Error> {
        let number = self.number;
        let json: Json = serde_json::from_slice(text).map_err(|error| {
            self.over = true;
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            let problem = format!("is no JSON: {words}, at byte {}", error.column());
            let cure = format!("{AS_IT_IS}: an object of JSON in each line");
            Error::Invalid(vec![Mistake::new(format!("line {number}"), problem, cure)])
        })?;
        let line = Line { number, kind: json.get("kind").and_then(Json::as_str).unwrap_or_default(), json: &json };
        if !self.begun {
            line.head()?;
            self.begun = true;
            return Ok(());
        }
        if line.kind == HISTORY {
            (self.whole, self.over) = (true, true);
            return Ok(());
        }
        let (kind, most) = line.counted()?;
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count > most {
            self.over = true;
            return Err(line.wrong(
                format!("is more than the {most} of the kind `{kind}` that an organisation has"),
                "leave out what is not needed",
            ));
        }
        let was = line.id()?;
        if !self.ids.insert(was.clone()) {
            return Err(line.wrong("has the id of a line before", AS_IT_IS));
        }
        let what = line.what(self.bounds).await?;
        let things = if matches!(what, What::Contract(_)) { &mut self.contracts } else { &mut self.defined };
        things.push(Thing { line: number, was, what });
        Ok(())
    }
}

impl Thing {
    fn place(&self) -> Option<(&str, &str)> {
        match &self.what {
            What::Contract(contract) => Some((contract.network.as_str(), contract.address.as_str())),
            What::Defined { .. } => None,
        }
    }
}

/// A line that is looked at.
struct Line<'a> {
    number: usize,
    kind: &'a str,
    json: &'a Json,
}

impl Line<'_> {
    fn wrong(&self, problem: impl Into<String>, cure: impl Into<String>) -> Error {
        Error::Invalid(vec![Mistake::new(format!("line {}", self.number), problem, cure)])
    }

    /// Whether it is a document's first.
    fn head(&self) -> Result<(), Error> {
        if self.kind != FORMAT.0 {
            let cure = format!("send the file that an export wrote: its first line has `\"kind\":\"{}\"`", FORMAT.0);
            return Err(self.wrong("is not the beginning of an export", cure));
        }
        match self.json.get("version").and_then(Json::as_u64) {
            Some(version) if version == FORMAT.1 => Ok(()),
            _ => Err(self.wrong(
                "is of a version that this one does not know",
                format!("export it again with a version that writes version {}", FORMAT.1),
            )),
        }
    }

    fn id(&self) -> Result<String, Error> {
        let id = self.json.get("id").and_then(Json::as_str).filter(|id| id.parse::<Id>().is_ok());
        id.map(str::to_owned).ok_or_else(|| self.wrong("has no id", AS_IT_IS))
    }

    /// The kind of what it defines, and how many of these there may be.
    fn counted(&self) -> Result<(&'static str, usize), Error> {
        if self.kind == "contract" {
            return Ok(("contract", limits::CONTRACTS));
        }
        match DefinitionKind::of_word(self.kind) {
            Some(kind) => Ok((kind.as_str(), limits::definitions(kind))),
            None => Err(self.wrong(
                format!("is of the kind `{}`, which this version does not know", self.kind.escape_debug()),
                "leave the line out",
            )),
        }
    }

    async fn what(&self, bounds: &Bounds) -> Result<What, Error> {
        let what = match DefinitionKind::of_word(self.kind) {
            None => self.contract().map(|contract| What::Contract(Box::new(contract))),
            Some(kind) => self.definition(kind, bounds).await,
        };
        what.map_err(|error| at_line(self.number, error))
    }

    fn contract(&self) -> Result<Checked, Error> {
        let mut mistakes = Vec::new();
        let mut text = |name: &str| {
            let text = self.json.get(name).and_then(Json::as_str);
            if text.is_none() {
                mistakes.push(Mistake::new(name, "is no text", AS_IT_IS));
            }
            text.unwrap_or_default().to_owned()
        };
        let (network, address, name) = (text("network"), text("address"), text("name"));
        let given = |name: &str| self.json.get(name).filter(|value| !value.is_null()).cloned();
        let labels = given("labels").map_or_else(|| Ok(Vec::new()), serde_json::from_value);
        let labels = labels.unwrap_or_else(|_| {
            mistakes.push(Mistake::new("labels", "is no list of texts", AS_IT_IS));
            Vec::new()
        });
        match mistakes.is_empty() {
            true => NewContract { network, address, name, labels, abi: given("abi") }.checked(),
            false => Err(Error::Invalid(mistakes)),
        }
    }

    async fn definition(&self, kind: DefinitionKind, bounds: &Bounds) -> Result<What, Error> {
        let definition = self.json.get("definition").unwrap_or(&Json::Null);
        let without_secrets = kind == DefinitionKind::Channel && has_secret(definition);
        let disabled = match (without_secrets, self.json.get("disabled_reason").and_then(Json::as_str)) {
            (true, _) => Some(WITHOUT_SECRETS.to_owned()),
            (false, reason) => reason.map(|reason| reason.chars().take(limits::DISABLED_CHARACTERS).collect()),
        };
        let incoming = Incoming::new(kind, definition, disabled, without_secrets, bounds).await?;
        Ok(What::Defined { kind, incoming: Box::new(incoming), without_secrets })
    }
}

/// What is wrong with what stands in a line, with the line before each path.
pub(super) fn at_line(line: usize, error: Error) -> Error {
    match error {
        Error::Invalid(mistakes) => {
            let of = |m: Mistake| Mistake { path: format!("line {line}: {}", m.path), ..m };
            Error::Invalid(mistakes.into_iter().map(of).collect())
        }
        Error::Taken { .. } => {
            let path = format!("line {line}: name");
            Error::Invalid(vec![Mistake::new(path, "is another's already", "give one of the two another name")])
        }
        error => error,
    }
}
