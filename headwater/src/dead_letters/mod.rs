//! `headwater dead-letters`: what could not be processed, with its reason and its original bytes (rule 13).

mod letter;
mod replay;

use std::{io::Write, path::Path};

use runtime::config::Config;
use schemas::topics;
use serde_json::Value;

use crate::{
    exit::Failure,
    parts,
    tail::{self, Query},
};

pub use replay::replay;

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

fn none_at(offset: u64) -> Failure {
    Failure::new(format!("no dead letter has offset {offset}; `headwater dead-letters list` tells them"))
}

/// Calls with every dead letter there is, oldest first, until it returns false.
async fn each(config: &Config, mut call: impl AsyncFnMut(&Value) -> Result<bool, Failure>) -> Result<(), Failure> {
    let query = Query { network: None, from: "beginning".into(), follow: false };
    tail::each_line(config, topics::DEAD_LETTERS, query, async |line| call(&serde_json::from_str(line)?).await).await
}
