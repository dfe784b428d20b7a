//! `headwater dead-letters list` and `show`.

use std::{io::Write, path::Path};

use serde_json::Value;

use super::read::{each, none_at};
use crate::{exit::Failure, parts};

/// One line for each.
pub fn list(file: &Path) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "OFFSET\tFAILED AT\tSTAGE\tNETWORK\tSEQUENCE\tINDEX\tREASON\tERROR")?;
    parts::block_on(each(&config, async |letter| {
        let at = |pointer: &str| match letter.pointer(pointer) {
            None | Some(Value::Null) => "-".to_owned(),
            Some(Value::String(s)) => s.clone(),
            Some(other) => other.to_string(),
        };
        let cells = ["/offset", "/timestamp", "/value/stage", "/value/network", "/value/sequence", "/value/index"];
        let cells: Vec<String> = cells.iter().chain(&["/value/reason", "/value/error"]).map(|p| at(p)).collect();
        writeln!(out, "{}", cells.join("\t"))?;
        Ok(true)
    }))?
}

/// One of them, whole.
pub fn show(file: &Path, offset: u64) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    let mut found = false;
    parts::block_on(each(&config, async |letter| {
        if letter["offset"].as_u64() == Some(offset) {
            found = true;
            writeln!(std::io::stdout().lock(), "{letter:#}")?;
        }
        Ok(!found)
    }))??;
    match found {
        true => Ok(()),
        false => Err(none_at(offset)),
    }
}
