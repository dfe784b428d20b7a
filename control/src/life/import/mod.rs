//! What an organisation had defined, made anew in another one.
//!
//! Guarantee: whole or nothing. All of a document is looked at before any of it is made ([`ImportReader`]); what fits into one transaction is
//! made in one, and of more an organisation that nobody sees before it is whole ([`super::importing`]). Every id is new, and whatever named
//! another thing of the document names it still; what is made is in the audit, thing by thing, and that it was imported behind the last.
//! Nothing of the document's history is taken over: keys, members, the audit and alerts are the other organisation's. Channels whose secrets
//! were left out are there and disabled, and say so.

mod reader;

use std::collections::HashMap;

use schemas::{Mistake, TimeMs, limits::control as limits, records::DefinitionKind};

pub use self::reader::{ImportReader, ToImport};
use self::reader::{Thing, What, at_line};
use super::{document::renamed, importing};
use crate::{
    audit::{Action, Change, Outcome, Subject},
    contracts,
    db::Tx,
    definitions::Bounds,
    error::Error,
    id::Id,
    open::{Control, Operator},
    organisations::found,
    people,
    sealer::Sealer,
    tenant::{Authenticated, Caller},
};

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

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Things that are made.
    pub made: usize,
    /// Of so many.
    pub of: usize,
}

impl Control {
    /// Makes what a document defines in the organisation of `by`, in one transaction. Whatever is there already under a name is in the way; a
    /// contract that is there is taken for the document's.
    ///
    /// # Errors
    /// Something has mistakes, a name is taken (both told with the line), or there are too many things for one transaction
    /// ([`limits::IMPORTED_INTO`]) or for the plan; or as of every change. Nothing was made.
    pub async fn import(&self, by: Caller<'_>, brought: ToImport, bounds: &Bounds) -> Result<Imported, Error> {
        if brought.len() > limits::IMPORTED_INTO {
            let problem = format!(
                "defines {} things, and into an organisation that is there at most {} are imported",
                brought.len(),
                limits::IMPORTED_INTO
            );
            return Err(Error::Invalid(vec![Mistake::new("document", problem, "make a new organisation of it")]));
        }
        let mut work = Work::new(self, brought, bounds);
        work.at_once = usize::MAX;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = work.some(&mut change).await;
        change.end(done).await?;
        Ok(work.imported)
    }

    /// The same in a new organisation of this name, of which the caller, a person, is the owner. `tell` hears how far it is.
    ///
    /// # Errors
    /// As of [`Control::import`], of whatever length, and of [`Control::found_organisation`]. Of what was made until then nobody sees anything,
    /// and it is deleted.
    pub async fn import_organisation(
        &self,
        by: Caller<'_>,
        name: &str,
        brought: ToImport,
        bounds: &Bounds,
        tell: impl Fn(Progress),
    ) -> Result<(Id, Imported), Error> {
        let user = *by.who.user().ok_or(Error::PeopleOnly)?;
        let mut tx = self.db.system(true).await?;
        let who = async {
            let person = people::hold(&mut tx, &user).await?;
            found::begin(&mut tx, &self.pepper, by, &person, (name, TimeMs::now())).await
        };
        let who = who.await;
        let who = match who {
            Ok(who) => who,
            Err(e) => return tx.end(Err(e)).await,
        };
        let by = Caller { who: &who, ..by };
        self.make_new(tx, by, Some(&user), Work::new(self, brought, bounds), tell).await
    }

    /// Founds the organisation of `by`, whose row is there in this transaction, and makes all of it.
    async fn make_new(
        &self,
        tx: Tx,
        by: Caller<'_>,
        owner: Option<&Id>,
        mut work: Work<'_>,
        tell: impl Fn(Progress),
    ) -> Result<(Id, Imported), Error> {
        let mut change = Change::within(tx, &self.pepper, by).await?;
        let done = async {
            found::founded(&mut change, owner).await?;
            work.some(&mut change).await?;
            if !work.is_done() {
                importing::begin(&mut change).await?;
            }
            Ok(())
        };
        let done = done.await;
        change.end(done).await?;
        tell(work.progress());
        while !work.is_done() {
            if let Err(error) = self.make_more(by, &mut work).await {
                // Where his session was ended meanwhile he makes nothing more, and what there is goes all the same.
                let unasked = Authenticated { session: None, ..by.who.clone() };
                if let Err(why) = self.give_up(Caller { who: &unasked, ..by }, TimeMs(i64::MAX)).await {
                    tracing::warn!(organisation = %by.who.tenant().id(), error = %why, "half of an import is deleted when it has lapsed");
                }
                return Err(error);
            }
            tell(work.progress());
        }
        Ok((*by.who.tenant().id(), work.imported))
    }

    /// The next things, and with the last of them the organisation is there.
    async fn make_more(&self, by: Caller<'_>, work: &mut Work<'_>) -> Result<(), Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            importing::goes_on(&mut change).await?;
            work.some(&mut change).await?;
            if work.is_done() {
                importing::done(&mut change).await?;
            }
            Ok(())
        };
        let done = done.await;
        change.end(done).await
    }
}

impl Operator {
    /// Makes a new organisation of what a document defines, with this person as its owner where one is named. `tell` hears how far it is.
    ///
    /// # Errors
    /// As of [`Control::import_organisation`] and [`Operator::found_organisation`].
    pub async fn import_organisation(
        &self,
        name: &str,
        owner: Option<&str>,
        brought: ToImport,
        bounds: &Bounds,
        tell: impl Fn(Progress),
    ) -> Result<(Id, Imported), Error> {
        let control = self.control();
        let mut tx = control.db.system(true).await?;
        let begun = found::begin_by(&mut tx, self, name, owner).await;
        let (owner, who) = match begun {
            Ok(begun) => begun,
            Err(e) => return tx.end(Err(e)).await,
        };
        control.make_new(tx, Caller::here(&who), owner.as_ref(), Work::new(control, brought, bounds), tell).await
    }
}

/// What is still to be made, and what is known of what was.
struct Work<'a> {
    sealer: Sealer,
    bounds: &'a Bounds,
    left: std::vec::IntoIter<Thing>,
    of: usize,
    /// Things of one transaction: others wait for no more than that.
    at_once: usize,
    /// What the ids of the document are here.
    ids: HashMap<String, Id>,
    imported: Imported,
}

impl<'a> Work<'a> {
    fn new(control: &Control, brought: ToImport, bounds: &'a Bounds) -> Self {
        Self {
            sealer: Sealer::new(&control.pepper),
            bounds,
            of: brought.len(),
            at_once: brought.at_once,
            left: brought.things.into_iter(),
            ids: HashMap::new(),
            imported: Imported::default(),
        }
    }

    fn is_done(&self) -> bool {
        self.left.len() == 0
    }

    fn progress(&self) -> Progress {
        Progress { made: self.of - self.left.len(), of: self.of }
    }

    /// Makes as many as one transaction takes; behind the last it says so in the audit.
    async fn some(&mut self, change: &mut Change<'_>) -> Result<(), Error> {
        for _ in 0..self.at_once {
            let Some(Thing { line, was, what }) = self.left.next() else { break };
            let id = self.make(change, what).await.map_err(|error| at_line(line, error))?;
            self.ids.insert(was, id);
        }
        if !self.is_done() {
            return Ok(());
        }
        let subject = Subject { kind: "organisation", id: change.by().who.tenant().id().to_string(), name: None };
        let after = serde_json::to_value(&self.imported).map_err(|e| Error::Corrupt(e.to_string()))?;
        change.audit(Action::OrganisationImport, &subject, None, Some(after), Outcome::Done).await
    }

    async fn make(&mut self, change: &mut Change<'_>, what: What) -> Result<Id, Error> {
        match what {
            // The operator has it, or it is there already.
            What::Contract(contract) => match contracts::at(change, &contract.network, &contract.address).await? {
                Some(id) => Ok(id),
                None => {
                    self.imported.contracts += 1;
                    contracts::create(change, &contract, None).await.map(|created| created.made.id)
                }
            },
            What::Defined { kind, mut incoming, without_secrets } => {
                renamed(incoming.definition_mut(), &self.ids);
                let name = incoming.name().to_owned();
                let id = incoming.make(change, &self.sealer, self.bounds).await?;
                match kind {
                    DefinitionKind::Channel => self.imported.channels += 1,
                    DefinitionKind::Rule => self.imported.rules += 1,
                    DefinitionKind::Monitor => self.imported.monitors += 1,
                    DefinitionKind::Silence => self.imported.silences += 1,
                }
                if without_secrets {
                    self.imported.without_secrets.push(name);
                }
                Ok(id)
            }
        }
    }
}
