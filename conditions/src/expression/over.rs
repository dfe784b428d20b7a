//! An expression over a transaction, of whichever family its text speaks of.
//!
//! Guarantee: a function of the text: the same text is the same test, whatever monitor it stands in. Names that several families have
//! (`fee`, `hash`) mean each family's own.

use std::sync::Arc;

use schemas::Family;

use super::{Expression, Scope, Wrong, bitcoin::is_of_party as of_party, parser};

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct OverTransaction {
    text: Arc<str>,
    evm: Option<Expression>,
    bitcoin: Option<Expression>,
    is_of_party: bool,
}

impl OverTransaction {
    /// Reads a text.
    ///
    /// # Errors
    /// The first mistake, where no family's transactions have what it speaks of: of the family that can read most of it.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let tree = parser::parse(text)?;
        let text: Arc<str> = text.into();
        let of = |scope| Expression::of(&text, &tree, scope);
        let (evm, bitcoin) = (of(Scope::Transaction), of(Scope::Bitcoin));
        if let (Err(evm), Err(bitcoin)) = (&evm, &bitcoin) {
            let further = if bitcoin.position > evm.position { bitcoin } else { evm };
            return Err(further.clone());
        }
        let (evm, bitcoin) = (evm.ok(), bitcoin.ok());
        let is_of_party = bitcoin.as_ref().is_some_and(|it| it.test.asks(of_party));
        Ok(Self { text, evm, bitcoin, is_of_party })
    }

    /// What may be spoken of in texts over a family's transactions; `None`: conditions are put to none of them.
    pub(crate) const fn scope(family: Family) -> Option<Scope<'static>> {
        match family {
            Family::Evm => Some(Scope::Transaction),
            Family::Bitcoin => Some(Scope::Bitcoin),
            Family::Stellar => None,
        }
    }

    /// The text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// What is put to transactions of a family; `None`: it speaks of what they do not have.
    pub fn of(&self, family: Family) -> Option<&Expression> {
        match family {
            Family::Evm => self.evm.as_ref(),
            Family::Bitcoin => self.bitcoin.as_ref(),
            Family::Stellar => None,
        }
    }

    /// Whether it speaks of what the address receives or spends that a monitor looks at.
    pub fn is_of_party(&self) -> bool {
        self.is_of_party
    }

    /// What it speaks of that transactions of a family do not have; `None`: nothing, or no text at all is put to them, which is said of the
    /// network ([`Monitor::wrong_on`](crate::Monitor::wrong_on)) and not of each text.
    pub fn wrong_for(&self, family: Family) -> Option<Wrong> {
        if self.of(family).is_some() { None } else { Expression::parse(&self.text, Self::scope(family)?).err() }
    }
}
