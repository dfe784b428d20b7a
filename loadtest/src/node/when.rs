//! When a fault happens, and how that is written behind its kind: `@CHANCE`, `@xCOUNT`, `@TIME`.

use super::latency::{Shown, duration};
use std::fmt;
use std::time::Duration;

/// Which requests are hit, or of which blocks a lie is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// All. Lies are told of all blocks above the present head, unless it is said of which.
    Always,
    /// Each with this chance, 0 to 1.
    Chance(f64),
    /// The next so many.
    Next(u64),
    /// All for so long.
    For(Duration),
}

impl When {
    /// What stands behind the `@`.
    ///
    /// # Errors
    /// What belongs there.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        match (text.strip_prefix('x'), duration(text)) {
            (Some(count), _) => count.parse().map(Self::Next).map_err(|_| "after @x belongs a whole number"),
            (None, Some(time)) => Ok(Self::For(time)),
            (None, None) => match text.parse::<f64>() {
                Ok(chance) if (0.0..=1.0).contains(&chance) => Ok(Self::Chance(chance)),
                _ => Err("after @ belongs a chance from 0 to 1, xCOUNT, or a time such as 5s"),
            },
        }
    }
}

impl fmt::Display for When {
    /// With the `@`; nothing where it is always.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => Ok(()),
            Self::Chance(chance) => write!(f, "@{chance}"),
            Self::Next(count) => write!(f, "@x{count}"),
            Self::For(time) => write!(f, "@{}", Shown(*time)),
        }
    }
}
