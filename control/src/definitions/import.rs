//! Definitions that come out of another organisation's document.
//!
//! Guarantee: each is looked at as if somebody had sent it; but a channel whose secrets are missing is taken as it is and nothing is sent
//! to it, so that what names it still does.

use conditions::Channel;
use schemas::{TimeMs, records::DefinitionKind};
use serde_json::Value as Json;

use super::{Bounds, change, draft::Draft};
use crate::{
    audit::Change,
    error::{Error, Mistake},
    id::Id,
    sealer::Sealer,
};

/// One that is to be made.
pub(crate) struct Incoming(Draft);

impl Incoming {
    /// Looks at one. `disabled`: why it is not to be used, where it is not.
    ///
    /// # Errors
    /// It has mistakes, or a target that is not allowed.
    pub(crate) async fn new(
        kind: DefinitionKind,
        definition: &Json,
        disabled: Option<String>,
        without_secrets: bool,
        bounds: &Bounds,
    ) -> Result<Self, Error> {
        let mut draft = match without_secrets {
            true => {
                let channel = Channel::parse(definition).map_err(Error::Invalid)?;
                Draft::without_secrets(channel.definition())?
            }
            false => {
                let mut draft = Draft::new(kind, definition, TimeMs::now())?;
                draft.check(bounds).await?;
                draft
            }
        };
        if draft.name.is_empty() {
            return Err(Error::Invalid(vec![Mistake::new("name", "is empty", "write 1 to 100 characters")]));
        }
        draft.disabled = disabled.or(draft.disabled);
        Ok(Self(draft))
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// The definition, in which ids are still those of the document.
    pub(crate) fn definition_mut(&mut self) -> &mut Json {
        &mut self.0.definition
    }

    /// Makes it.
    ///
    /// # Errors
    /// As of [`crate::Control::create_definition`].
    pub(crate) async fn make(self, change: &mut Change<'_>, sealer: &Sealer, bounds: &Bounds) -> Result<Id, Error> {
        change::create(change, sealer, self.0, bounds, None).await.map(|made| made.made.id)
    }
}
