//! Mistakes in a configuration file: each with file, line, key and what to write instead.

use std::{fmt, path::PathBuf};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line from 1.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
    /// The key with its tables, such as `network[0].endpoint[1].url`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

/// All mistakes of a file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    /// The file.
    pub file: PathBuf,
    /// At least one.
    pub list: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.list.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {many} in the configuration", self.list.len())?;
        for m in &self.list {
            write!(f, "\n  {}:{}:{}: ", self.file.display(), m.line, m.column)?;
            if !m.key.is_empty() {
                write!(f, "`{}`: ", m.key)?;
            }
            write!(f, "{}", m.problem)?;
            if !m.cure.is_empty() {
                write!(f, "\n      {}", m.cure)?;
            }
        }
        Ok(())
    }
}
