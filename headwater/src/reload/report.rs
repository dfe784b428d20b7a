//! What a process says of a reload.

use std::fmt;

use runtime::config::changes::Change;
use serde::{Deserialize, Serialize};

/// What was taken over, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The file that was read.
    pub file: String,
    /// Stages that run in the process that read it.
    pub stages: Vec<String>,
    /// What holds now.
    pub taken: Vec<Change>,
    /// What holds once the process is started again.
    pub restart: Vec<Change>,
    /// Who else is to be told, where there may be somebody.
    pub elsewhere: Option<String>,
}

impl Report {
    /// Line by line, for people and for the log.
    pub fn lines(&self) -> Vec<String> {
        let many = |n: usize| if n == 1 { "1 change".to_owned() } else { format!("{n} changes") };
        let mut lines = Vec::new();
        match self.taken.len() {
            0 if self.restart.is_empty() => lines.push(format!("{}: nothing has changed", self.file)),
            0 => lines.push(format!("{}: nothing was taken over", self.file)),
            n => lines.push(format!("{}: {} taken over by {}", self.file, many(n), self.stages.join(", "))),
        }
        lines.extend(self.taken.iter().map(|change| format!("  {change}")));
        if !self.restart.is_empty() {
            let need = if self.restart.len() == 1 { "needs" } else { "need" };
            lines.push(format!("{} {need} a restart:", many(self.restart.len())));
            lines.extend(self.restart.iter().map(|change| format!("  {change}")));
        }
        lines.extend(self.elsewhere.clone());
        lines
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_holds_and_what_waits() {
        let change = |key: &str| Change { key: key.into(), words: "2; it was 1".into() };
        let mut report = Report {
            file: "/etc/hw.toml".into(),
            stages: vec!["ingest".into()],
            taken: vec![change("a"), change("b")],
            restart: vec![change("c")],
            elsewhere: Some("Tell the others.".into()),
        };
        assert_eq!(
            report.to_string(),
            "/etc/hw.toml: 2 changes taken over by ingest\n  `a`: 2; it was 1\n  `b`: 2; it was 1\n1 change needs a restart:\n  \
             `c`: 2; it was 1\nTell the others.\n"
        );
        (report.taken, report.elsewhere) = (Vec::new(), None);
        assert!(report.to_string().starts_with("/etc/hw.toml: nothing was taken over\n1 change needs"));
        report.restart.clear();
        assert_eq!(report.to_string(), "/etc/hw.toml: nothing has changed\n");
    }
}
